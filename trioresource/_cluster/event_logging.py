"""Log what happens in a cluster, for programs that read log files instead of subscribing.

Everything goes to the logger ``trioresource.cluster``. Nothing here configures logging: which
records are shown, and where, is up to the program.
"""

from __future__ import annotations

import logging
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from .._model.events import ClusterEvent, GroupStateChange, RecoveryPlanned
from .._model.policy import StayFailed
from .._model.reports import (
    AttemptStuck,
    FailureReport,
    ProbeInconclusive,
    Progress,
    StateChange,
    describe_error,
)

if TYPE_CHECKING:
    from .records import ResourceRecord

_LOGGER: Final = logging.getLogger("trioresource.cluster")

# Looked up for each event, also while nothing is logged: a table is the fastest way.
_LEVELS: Final[dict[type[ClusterEvent], int]] = {
    StateChange: logging.INFO,
    GroupStateChange: logging.INFO,
    FailureReport: logging.WARNING,
    RecoveryPlanned: logging.WARNING,
    ProbeInconclusive: logging.WARNING,
    AttemptStuck: logging.ERROR,
    Progress: logging.DEBUG,
}


def log_event(event: ClusterEvent, record: ResourceRecord | None) -> None:
    """Log an event, if the logger is enabled for it. Never raises an ``Exception``.

    Args:
        event: the event.
        record: the resource that it is about; None for a group.
    """
    # Filters, handlers and record factories are the user's. What they raise must not end the
    # engine, which would take the cluster down.
    try:
        level = _find_level(event)
        if _LOGGER.isEnabledFor(level):
            _log(level, event, record)
    except Exception:
        _show_error()


def _find_level(event: ClusterEvent) -> int:
    if isinstance(event, RecoveryPlanned) and isinstance(event.decision, StayFailed):
        return logging.ERROR
    return _LEVELS[type(event)]


def _log(level: int, event: ClusterEvent, record: ResourceRecord | None) -> None:
    # The prefix keeps the keys apart from the attributes that a log record has by itself.
    extra: dict[str, object] = {"trioresource_event": type(event).__name__}
    error: BaseException | None = None
    if isinstance(event, GroupStateChange):
        extra["trioresource_group"] = event.group
    else:
        extra["trioresource_resource"] = event.resource
        extra["trioresource_epoch"] = event.epoch
        if record is not None:
            extra["trioresource_type"] = record.hosted.type_info.name
            extra["trioresource_group"] = record.group.name
        if isinstance(event, FailureReport | ProbeInconclusive):
            error = event.error
    # A tuple: logging asks for the truth value of an exception, which may be the user's code.
    details = None if error is None else (type(error), error, error.__traceback__)
    _LOGGER.log(level, "%s", _describe(event), exc_info=details, extra=extra)


def _describe(event: ClusterEvent) -> str:
    """Say in plain words what happened."""
    match event:
        case StateChange():
            why = f" ({_one_line(event.detail)})" if event.detail else ""
            return f"{event.resource}: {event.old.value} -> {event.new.value}{why}"
        case GroupStateChange():
            return f"group {event.group}: {event.old.value} -> {event.new.value}"
        case FailureReport():
            return f"{event.resource} failed: {_one_line(str(event))}"
        case RecoveryPlanned():
            return _describe_plan(event)
        case ProbeInconclusive():
            error = _one_line(describe_error(event.error))
            return f"{event.resource} could not be checked: {error}"
        case AttemptStuck():
            what = f"attempt {event.epoch} was terminated and does not end"
            return f"{event.resource} is stuck: {what}\n{event.task_tree}".rstrip()
        case Progress():
            done = "" if event.fraction is None else f" {event.fraction:.0%}"
            return f"{event.resource}:{done} {_one_line(event.message)}"


def _one_line(text: str) -> str:
    """Join the lines of a handler's text: a log is read and searched line by line."""
    return " | ".join(line for line in text.splitlines() if line.strip())


def _describe_plan(event: RecoveryPlanned) -> str:
    decision = event.decision
    failures = f"{decision.failures} failure{'' if decision.failures == 1 else 's'}"
    if not isinstance(decision, StayFailed):
        return f"{event.resource} will be restarted in {decision.delay:g} s, after {failures}"
    retry = decision.retry
    then = "stays failed" if retry is None else f"stays failed; next try in {retry:g} s"
    return f"{event.resource} gave up after {failures} and {then}"


def _show_error() -> None:
    """Show an error of the user's logging set-up the way ``logging.Handler.handleError`` does."""
    stream = sys.stderr
    if not logging.raiseExceptions or stream is None:
        return
    # Standard error may be closed or broken: then there is nowhere left to show it.
    with suppress(Exception):
        stream.write("--- Logging error of trioresource.cluster ---\n")
        traceback.print_exc(file=stream)

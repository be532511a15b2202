"""The contract: all checks by their ids."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from . import ending, failing, running, starting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .catalogue import Check

__all__ = ["CHECKS", "read_skips", "select"]

CHECKS: Final[dict[str, Check]] = {
    check.id: check
    for check in (
        starting.open_then_close,
        starting.comes_online,
        starting.slow_online,
        starting.tie_at_the_soft_deadline,
        starting.online_that_raises,
        ending.terminate_beside_online,
        ending.terminate_at_odd_times,
        ending.terminate_beside_offline,
        starting.one_instance,
        starting.online_when_online,
        starting.online_again,
        ending.offline_is_idempotent,
        ending.cancelled_anywhere,
        ending.everything_cancelled,
        failing.killed_from_outside,
        failing.fails_once,
        failing.dies_meanwhile,
        running.loop_stays_free,
        running.nothing_left,
        ending.close_in_any_state,
        running.any_commands,
        running.same_again,
    )
}
"""All checks, in the order of their ids."""

_ID: Final = re.compile(r"[Cc]0*([1-9]\d*)")


def select(names: Iterable[str] | None) -> list[Check]:
    """The checks of these ids, in the order of the catalogue; all for ``None``.

    Raises:
        ValueError: there are no checks of some of the ids; all of them are named.
    """
    if names is None:
        return list(CHECKS.values())
    wanted = _known(names)
    return [each for each in CHECKS.values() if each.id in wanted]


def read_skips(skip: Mapping[str, str]) -> dict[str, str]:
    """The reasons for which checks are skipped, by their ids.

    Raises:
        ValueError: an id is unknown, or a reason empty; all mistakes are named.
    """
    mistakes = []
    try:
        _known(skip)
    except ValueError as error:
        mistakes.append(str(error))
    for name, reason in skip.items():
        if not reason.strip():
            mistakes.append(f"{name} can not be skipped without a reason: say why it may")
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return {_canonical(name): reason.strip() for name, reason in skip.items()}


def _canonical(name: str) -> str:
    match = _ID.fullmatch(name.strip())
    return name if match is None else f"C{match[1]}"


def _known(names: Iterable[str]) -> list[str]:
    found = {name: _canonical(name) for name in names}
    unknown = [name for name, canonical in found.items() if canonical not in CHECKS]
    if unknown:
        missing = ", ".join(map(repr, unknown))
        raise ValueError(f"there is no check {missing}; known: {', '.join(CHECKS)}")
    return list(found.values())

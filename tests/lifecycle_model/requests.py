"""Requests, and which answers they may get: rules 1, 2 and 3."""

from __future__ import annotations

from typing import Final

import attrs

from tests.lifecycle_model.observations import Ask, Deviation
from trioresource._model.states import ResourceState

__all__ = ["CANCELLED", "DONE", "INERT", "SAID", "Request", "Standing", "check_answer"]

_RS = ResourceState
_EPSILON: Final = 1e-9

DONE: Final = "done"
SAID: Final = "as it was told"
"""The words in which the handler reports."""
INERT: Final = "inert"
"""How ``report_failure`` and ``report_progress`` answer once their attempt is over."""
CANCELLED: Final = "cancelled"
"""The caller was cancelled while it waited."""


@attrs.frozen
class Request:
    """A request that has not been answered."""

    number: int
    what: Ask
    asked: float
    due: float
    """When the soft deadline passes."""
    epoch: int = 0
    """The attempt that was there; 0 if there was none."""
    must: str | None = None
    """The only possible answer, where there is only one."""
    settled: bool = False
    """Whether the resource has been settled at any time since."""

    def __str__(self) -> str:
        return f"{self.what.value} (asked at {self.asked:g})"


@attrs.frozen
class Standing:
    """What a resource is like when a request is answered."""

    state: ResourceState
    settled: bool
    stuck: bool
    ended: int
    """The latest attempt that has ended."""
    now: float


def check_answer(name: str, request: Request, answer: str, standing: Standing) -> None:
    """See whether a request may be answered so.

    Args:
        name: whom it was asked of.
        request: what was asked for.
        answer: what came back.
        standing: what the resource is like now.

    Raises:
        Deviation: it may not.
    """
    what = f"{name}: {request} was answered {answer!r}, but"
    if request.must is not None:
        if answer != request.must:
            rule = 4 if INERT in (answer, request.must) else 3
            raise Deviation(rule, f"{what} it must be {request.must!r}")
    elif request.what in (Ask.TERMINATE, Ask.CLOSE):
        _check_joined(what, request, answer, standing)
    elif request.what in (Ask.ONLINE, Ask.OFFLINE) and answer != CANCELLED:
        _check_outcome(what, request, answer, standing)


def _check_joined(what: str, request: Request, answer: str, standing: Standing) -> None:
    """Not even a cancelled caller comes back before the attempt has ended, or is stuck."""
    if answer == "ResourceStuck":
        if not standing.stuck:
            raise Deviation(3, f"{what} it is not stuck")
    elif answer not in (DONE, CANCELLED, "TimeoutError"):
        raise Deviation(3, f"{what} that is no answer")
    elif standing.ended < request.epoch and not (answer == CANCELLED and standing.stuck):
        raise Deviation(3, f"{what} attempt {request.epoch} has not ended")


def _check_outcome(what: str, request: Request, answer: str, standing: Standing) -> None:
    state, settled = standing.state, standing.settled
    if answer in (_RS.ONLINE_PENDING.value, _RS.OFFLINE_PENDING.value):
        if settled:
            raise Deviation(1, f"{what} it is settled: {state.value}")
        if standing.now < request.due - _EPSILON and not request.settled:
            raise Deviation(1, f"{what} the soft deadline is only at {request.due:g}")
        if answer.removesuffix("-pending") != request.what.value:
            raise Deviation(1, f"{what} that is not what was asked for")
    elif answer == "ResourceStuck":
        if not standing.stuck or request.what is Ask.ONLINE:
            raise Deviation(3, f"{what} it is not stuck")
    elif answer == "OnlineFailed":
        if not settled or state is _RS.ONLINE or request.what is not Ask.ONLINE:
            raise Deviation(2, f"{what} it is {state.value}")
    elif answer == "OfflineFailed":
        if state is not _RS.FAILED or request.what is not Ask.OFFLINE:
            raise Deviation(2, f"{what} it is {state.value}")
    elif not settled or answer != state.value:
        raise Deviation(2, f"{what} it is {state.value}")

"""Comparing two runs of one schedule: the same decisions must lead to the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._scheduling.findings import Diverged
from .shrink import signature

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._scheduling.running import Run

__all__ = ["compare", "diverged"]


def compare(recorded: Run, again: Run) -> None:
    """Check that the same decisions have led to the same.

    Args:
        recorded: a run.
        again: another run, which followed the decisions of the first.

    Raises:
        Diverged: a step, what came from outside, or the end was not the same.
    """
    for what, first, second in (
        ("step", recorded.controller.steps, again.controller.steps),
        ("completion", recorded.controller.inbox.delivered, again.controller.inbox.delivered),
    ):
        for number, (one, other) in enumerate(_zipped(first, second), 1):
            if one != other:
                raise diverged(f"{what} {number} was {one}, and then {other}", recorded, again)
    ends = [None if one.error is None else signature(one.error) for one in (recorded, again)]
    if ends[0] != ends[1]:
        texts = ["passed" if one.error is None else repr(one.error) for one in (recorded, again)]
        raise diverged(f"it ended differently: {texts[0]}, and then {texts[1]}", recorded, again)


def _zipped(first: list[str], second: list[str]) -> Iterable[tuple[str, str]]:
    length = max(len(first), len(second))
    ended = ["the end"]
    return zip(
        first + ended * (length - len(first)),
        second + ended * (length - len(second)),
        strict=True,
    )


def diverged(what: str, *runs: Run) -> Diverged:
    """The error that says so; what the runs raised is its cause.

    Args:
        what: what the difference is, in words.
        runs: the runs that differ, as far as they are at hand.
    """
    error = Diverged(
        f"the same decisions led to something else: {what}. Something in the scenario is not"
        " controlled: an iteration over a set, randomness without a seed, the wall clock,"
        " or state that outlives a schedule",
    )
    error.__cause__ = next((each.error for each in runs if each.error is not None), None)
    return error

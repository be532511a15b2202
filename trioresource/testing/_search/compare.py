"""Compare two runs of one schedule: the same decisions must lead to the same steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._scheduling.findings import Diverged
from .shrink import signature

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._scheduling.running import Run


def compare(recorded: Run, again: Run) -> None:
    """Check that two runs with the same decisions were the same.

    Args:
        recorded: a run.
        again: another run, which followed the decisions of the first.

    Raises:
        Diverged: a step, a result from outside, or the end differs.
    """
    for what, first, second in (
        ("step", recorded.controller.steps, again.controller.steps),
        (
            "completion",
            recorded.controller.external_waits.delivered,
            again.controller.external_waits.delivered,
        ),
    ):
        for number, (before, after) in enumerate(_zipped(first, second), 1):
            if before != after:
                raise diverged(f"{what} {number} was {before}, and then {after}", recorded, again)
    runs = (recorded, again)
    ends = [None if run.error is None else signature(run.error) for run in runs]
    if ends[0] != ends[1]:
        texts = ["passed" if run.error is None else repr(run.error) for run in runs]
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
    """Make the error that says that two runs differ; what a run raised is its cause.

    Args:
        what: the difference, in words.
        runs: the runs that differ, as far as they are known.
    """
    error = Diverged(
        f"the same decisions led to something else: {what}. Something in the scenario is not"
        " controlled: an iteration over a set, randomness without a seed, the wall clock,"
        " or state that outlives a schedule",
    )
    error.__cause__ = next((run.error for run in runs if run.error is not None), None)
    return error

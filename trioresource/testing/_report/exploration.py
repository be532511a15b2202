"""What an exploration did: the value, its summary, and the note under a failure."""

from __future__ import annotations

import attrs

from .schedule import Schedule, counted, described, explained


@attrs.frozen(kw_only=True)
class Exploration:
    """What an exploration did."""

    schedules: int
    """How many schedules ran, the plain one included, those of the shrinking not.

    An exhaustive search runs the plain one again, but it counts once.
    """
    strategy: str
    """The strategy's name."""
    seed: int
    exhausted: bool = False
    """Whether every schedule ran, within the bound on preemptions."""
    bound: int | None = None
    """The largest number of preemptions in a schedule, if the strategy has such a bound."""
    beyond: int = 0
    """If every schedule within the bound ran: how many others ran, such as the plain one."""
    seconds: float = 0.0
    """How long it took, in real seconds."""
    jobs: int = 1
    """How many processes shared the search."""
    failure: Schedule | None = None
    """The simplest schedule found that fails; ``None`` if none failed."""
    found: Schedule | None = None
    """The schedule that failed first, before it was shrunk."""
    shrinking: int = 0
    """How many schedules the shrinking tried."""

    @property
    def rate(self) -> float:
        """The number of schedules in a second."""
        return self.schedules / self.seconds if self.seconds else 0.0

    @property
    def how(self) -> str:
        """The options that make the same search again, in words."""
        jobs = f", {self.jobs} jobs" if self.jobs > 1 else ""
        return f"{self.strategy}, seed {self.seed}{jobs}"

    def __str__(self) -> str:
        """Say in one line what was done."""
        if self.failure is not None:
            return f"schedule {self.schedules} failed ({self.how})"
        text = f"{counted(self.schedules, 'schedule')} ({self.how})"
        if not self.exhausted:
            return text
        if self.bound is None:
            return f"{text}: every schedule there is"
        text = f"{text}: every schedule with at most {counted(self.bound, 'preemption')}"
        return f"{text}, and {self.beyond} with more" if self.beyond else text


def explain(error: BaseException, result: Exploration, failure: Schedule, command: str) -> None:
    """Add a note to an error: the schedule in which it comes, and how to replay that.

    Args:
        error: the error by which the schedule failed.
        result: what the exploration did.
        failure: the schedule.
        command: the command that replays it.
    """
    lines = [
        f"schedule {result.schedules} ({result.how}) · {described(failure)}",
        *_shrunk(result, failure),
        explained(failure),
        f"replay: {command}",
    ]
    error.add_note("\n".join(lines))


def _shrunk(result: Exploration, failure: Schedule) -> list[str]:
    """Say what the shrinking did, if it ran."""
    found = result.found
    if found is None or not result.shrinking:
        return []
    runs = counted(result.shrinking, "run")
    if found.picks == failure.picks:
        return [f"no simpler one found in {runs}"]
    changes = [
        f"{counted(before, noun)} to {after}"
        for noun, before, after in (
            ("preemption", found.preemptions, failure.preemptions),
            ("switch", found.switches, failure.switches),
        )
        if before != after
    ]
    # Otherwise it is shorter, or takes plainer options of the scenario.
    return [f"shrunk in {runs}: {', '.join(changes)}" if changes else f"shrunk in {runs}"]

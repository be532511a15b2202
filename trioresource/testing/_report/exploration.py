"""What an exploration did, in words: its summary, and the note under a failure."""

from __future__ import annotations

import attrs

from .schedule import Schedule, counted, described, explained

__all__ = ["Exploration", "explain"]


@attrs.frozen(kw_only=True)
class Exploration:
    """What an exploration did."""

    schedules: int
    """How many schedules ran, the plain one included; without those of the shrinking.

    An exhaustive search comes to the plain one as well, but that counts once.
    """
    strategy: str
    """The strategy's name."""
    seed: int
    exhausted: bool = False
    """Whether there is no other schedule, within the bound on preemptions."""
    bound: int | None = None
    """The most preemptions of a schedule, where the strategy has such a bound."""
    beyond: int = 0
    """How many schedules ran that have more, if all within the bound ran: the plain one."""
    seconds: float = 0.0
    """How long it took, in real seconds."""
    jobs: int = 1
    """How many processes shared the search."""
    failure: Schedule | None = None
    """The simplest schedule found that fails."""
    found: Schedule | None = None
    """The schedule that failed first, as it was before it was shrunk."""
    shrinking: int = 0
    """How many schedules the shrinking tried."""

    @property
    def rate(self) -> float:
        """Schedules in a second."""
        return self.schedules / self.seconds if self.seconds else 0.0

    @property
    def how(self) -> str:
        """What makes the same search again, in words."""
        jobs = f", {self.jobs} jobs" if self.jobs > 1 else ""
        return f"{self.strategy}, seed {self.seed}{jobs}"

    def __str__(self) -> str:
        """In words, for a test's report."""
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
        error: the error that the schedule ended with.
        result: what the exploration did.
        failure: the schedule.
        command: what replays it.
    """
    lines = [
        f"schedule {result.schedules} ({result.how}) · {described(failure)}",
        *_shrunk(result, failure),
        explained(failure),
        f"replay: {command}",
    ]
    error.add_note("\n".join(lines))


def _shrunk(result: Exploration, failure: Schedule) -> list[str]:
    """What the shrinking did, if there was any."""
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

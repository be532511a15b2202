"""What holds for one handler, whatever drives it: rules 2, 3, 8, 9 and 11.

Knows only what its handler sees. ``ResourceModel`` adds what was asked for and what was
told, ``ClusterModel`` adds policy.
"""

from __future__ import annotations

import enum
from typing import Final

import attrs

from tests.lifecycle_model.observations import (
    Deviation,
    Ended,
    Entered,
    Entry,
    Held,
    How,
    Left,
    Released,
)

__all__ = ["Conduct", "Stage"]

MONITOR: Final = "monitor"
"""What the context variable holds for the monitor; a caller has another value."""


class Stage(enum.Enum):
    """How far the handler's own code is, in the attempt that it saw last."""

    IDLE = "has not begun"
    STARTING = "is in online"
    UP = "has come online"
    STOPPING = "is in offline"
    DOWN = "has come back from offline"
    BROKEN = "was ended in some other way"
    CLEANING = "is in terminate"
    CLEANED = "has come back from terminate"


_AT_WORK: Final = (Stage.STARTING, Stage.UP, Stage.STOPPING, Stage.CLEANING)


@attrs.frozen
class Conduct:
    """What one handler has been through. A value: what happens makes another one."""

    name: str
    epoch: int = 0
    stage: Stage = Stage.IDLE
    running: Entry | None = None
    """The entry point that runs, ``terminate`` excepted."""
    holds: tuple[str, ...] = ()
    """Contexts in the order in which they came, and tasks; the first context came first."""
    in_use: int = 0
    """The property, as it was read when the attempt began."""

    @property
    def is_clear(self) -> bool:
        """Whether nothing of the handler's code is at work and nothing is held."""
        at_work = self.stage is Stage.CLEANING or self.running in (Entry.ONLINE, Entry.OFFLINE)
        return not (self.holds or at_work)

    @property
    def is_at_work(self) -> bool:
        """Whether anything of the latest attempt is left, as the handler sees it."""
        return self.stage in _AT_WORK or not self.is_clear

    def entered(self, seen: Entered) -> Conduct:
        """The handler is called."""
        self._check_call(seen)
        if seen.entry is Entry.ONLINE:
            return self._begun(seen)
        if seen.entry is Entry.OFFLINE:
            if self.stage is not Stage.UP:
                raise Deviation(3, f"{self.name}: offline was called, but it {self.stage.value}")
            return attrs.evolve(self, stage=Stage.STOPPING, running=seen.entry)
        if seen.entry is Entry.TERMINATE:
            return self._cleaning()
        if seen.entry is Entry.LOOKS_ALIVE:
            return self
        return attrs.evolve(self, running=seen.entry)

    def _check_call(self, seen: Entered) -> None:
        if seen.entry is not Entry.TERMINATE and self.running is not None:
            running = self.running.value
            raise Deviation(8, f"{self.name}: {seen.entry.value} was called during {running}")
        if seen.caller != MONITOR:
            text = f"{seen.entry.value} runs in the context of {seen.caller}"
            raise Deviation(8, f"{self.name}: {text}")
        # The monitor's clock looks at all of them, in one task.
        if seen.entry is not Entry.LOOKS_ALIVE:
            self._check_name(seen.task)
        if seen.entry not in (Entry.ONLINE, Entry.CONTROL) and seen.value != self.in_use:
            text = f"property is {seen.value}, was frozen as {self.in_use}"
            raise Deviation(9, f"{self.name}: in {seen.entry.value}, the {text}")

    def _check_name(self, task: str) -> None:
        if not task.startswith((f"{self.name}#", f"{self.name} ")):
            raise Deviation(11, f"{self.name}: the name of task {task!r} does not say whose it is")

    def _begun(self, seen: Entered) -> Conduct:
        if not self.is_clear:
            held = ", ".join(self.holds) or "its code"
            text = f"attempt {seen.epoch} began while {held} of {self.epoch} was left"
            raise Deviation(3, f"{self.name}: {text}")
        if seen.epoch <= self.epoch:
            raise Deviation(2, f"{self.name}: attempt {seen.epoch} came after {self.epoch}")
        return Conduct(self.name, seen.epoch, Stage.STARTING, Entry.ONLINE, (), seen.value)

    def _cleaning(self) -> Conduct:
        if self.stage in (Stage.IDLE, Stage.CLEANING, Stage.CLEANED):
            raise Deviation(3, f"{self.name}: terminate was called, but it {self.stage.value}")
        if not self.is_clear:
            left = ", ".join(self.holds) or str(self.running)
            raise Deviation(3, f"{self.name}: terminate was called while there was {left}")
        return attrs.evolve(self, stage=Stage.CLEANING)

    def left(self, seen: Left) -> Conduct:
        """The handler's code ended."""
        stage = self.stage
        fine = seen.how is How.RETURNED
        if seen.entry is Entry.TERMINATE:
            return attrs.evolve(self, stage=Stage.CLEANED)
        if seen.entry is Entry.ONLINE:
            stage = Stage.UP if fine else Stage.BROKEN
        elif seen.entry is Entry.OFFLINE:
            stage = Stage.DOWN if fine else Stage.BROKEN
        return attrs.evolve(self, stage=stage, running=None)

    def held(self, seen: Held) -> Conduct:
        """It entered a context, or started a task."""
        self._check_name(seen.task)
        return attrs.evolve(self, holds=(*self.holds, seen.what))

    def let_go(self, seen: Released | Ended, *, late: bool = False) -> Conduct:
        """A context was left, or a task has ended.

        Args:
            seen: which.
            late: whether the terminate deadline has passed: then the rest is left, though
                a task goes on.
        """
        kept = tuple(held for held in self.holds if held != seen.what)
        if isinstance(seen, Released):
            contexts = [held for held in self.holds if held.startswith("context")]
            if contexts[-1:] != [seen.what]:
                raise Deviation(2, f"{self.name}: {seen.what} was left before {contexts[-1:]}")
            if len(contexts) == 1 and kept and not late:
                raise Deviation(2, f"{self.name}: {seen.what} was left before {kept[0]} had ended")
        return attrs.evolve(self, holds=kept)

"""Control of another kind, to compare the kit with: Trio's own queue is replaced.

The kit puts a stand-in before each task and uses public names only. Here, one private
attribute of Trio's is replaced, the queue of the tasks that can run, by one which hands
out a single task in each of Trio's rounds: the one that the decisions name. There are no
stand-ins, no gate, no clock that is asked, and nothing of the kit's is used but the
strategies. So what both ways agree on is what the decisions mean, not how they are
enforced.
"""

from __future__ import annotations

import gc
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import trio
import trio.testing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from trioresource.testing import Strategy

    Task = trio.lowlevel.Task


class Queue(deque["Task"]):
    """In place of ``runner.runq``: gives one controlled task at a time, as is decided."""

    def __init__(self, oracle: Oracle) -> None:
        super().__init__()
        self.oracle = oracle
        self.arrived: list[Task] = []
        self.waiting: list[Task] = []

    def append(self, task: Task) -> None:
        if task in self.oracle.names:
            self.arrived.append(task)
        else:
            super().append(task)

    def __len__(self) -> int:
        return super().__len__() + len(self.arrived) + len(self.waiting)

    def __bool__(self) -> bool:
        return len(self) > 0

    def __iter__(self) -> Iterator[Task]:
        """Trio asks for all that can run: its own tasks, or else one of the scenario's."""
        if super().__len__():
            return super().__iter__()
        self.waiting += sorted(self.arrived, key=self.oracle.numbers.__getitem__)
        self.arrived.clear()
        if not self.waiting:
            return iter(())
        return iter((self.waiting.pop(self.oracle.decide(self.waiting)),))


class Oracle(trio.abc.Instrument):
    """Runs one schedule, and notes who went."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy: Final = strategy
        self.names: Final[dict[Task, str]] = {}
        self.numbers: Final[dict[Task, int]] = {}
        self.steps: Final[list[str]] = []
        self._children: Final[dict[str, int]] = {}
        self._ended = False

    def before_run(self) -> None:
        # Private to Trio, which has no public way to replace the run queue. The oracle exists
        # to check the kit, which uses nothing private, by other means.
        from trio._core._run import GLOBAL_RUN_CONTEXT

        runner: Any = GLOBAL_RUN_CONTEXT.runner
        runner.runq = Queue(self)

    def task_spawned(self, task: Task) -> None:
        if task.parent_nursery is None:
            return
        parent = self.names.get(task.parent_nursery.parent_task)
        name = task.name.rpartition(".")[2]
        if parent is not None:
            stem = f"{parent}/{name}"
        elif name == "oracle_main":
            stem = "main"
        elif not self.names or "run_sync_soon" in name:
            return
        else:
            stem = f"system/{name}"
        count = self._children[stem] = self._children.get(stem, 0) + 1
        self.numbers[task] = len(self.names)
        self.names[task] = stem if count == 1 else f"{stem}#{count - 1}"

    def decide(self, tasks: list[Task]) -> int:
        keys = [self.names[task] for task in tasks]
        if self._ended:
            return 0
        last = self.steps[-1] if self.steps else None
        index = self.strategy.pick(keys, last) if len(keys) > 1 else 0
        self.steps.append(keys[index])
        return index

    def run(self, scenario: Callable[[], Awaitable[object]]) -> tuple[list[str], str]:
        """Who went, and what the scenario returned."""

        results: list[object] = []

        async def oracle_main() -> None:
            try:
                results.append(await scenario())
            finally:
                self._ended = True

        async def main() -> None:
            # A task of its own, as the kit's scenarios have.
            async with trio.open_nursery() as nursery:  # noqa: ASYNC112
                nursery.start_soon(oracle_main)

        clock = trio.testing.MockClock(autojump_threshold=0)
        # Finalisers would run at any moment.
        gc.disable()
        try:
            trio.run(main, clock=clock, instruments=[self])
        finally:
            gc.enable()
        return self.steps, repr(results)

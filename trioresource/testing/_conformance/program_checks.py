"""Checks of the whole program: C18, C19, C21 and C22."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

import trio

from ..._errors import InvalidStateError
from ..._model.policy import PollIntervals
from .._scheduling.scenario import choose
from .check import check
from .harness import open_harness, require

if TYPE_CHECKING:
    from .cases import Case
    from .harness import Harness
    from .subject import Subject

LIMIT: Final = 0.05
"""Seconds of real time that one step of a task may take."""
_TRIES: Final = 3
_POLL: Final = PollIntervals(looks_alive=0.05, is_alive=0.1)
_POLLED: Final = 0.35
_COMMANDS: Final = ("online", "offline", "terminate", "fail", "nothing")
_COMMANDS_EACH: Final = 2
"""Commands of each caller; with three, all orders would take too long."""


@check("C18", once=True)
async def loop_stays_free(subject: Subject, case: Case) -> None:
    """No call of it blocks the event loop: each step takes less than 50 ms of real time.

    Measured up to three times, because other programs may slow down the computer.
    """
    for _ in range(_TRIES):
        watch = _StopWatch()
        trio.lowlevel.add_instrument(watch)
        try:
            async with open_harness(subject, case, poll=_POLL) as harness:
                await harness.come_online()
                await trio.sleep(_POLLED)
                await harness.go_offline()
                await harness.come_online()
                await harness.be_terminated()
        finally:
            trio.lowlevel.remove_instrument(watch)
        if watch.longest <= LIMIT:
            case.measured = ""
            return
        # Not raised here: to look for the simplest schedule would only repeat what is slow.
        case.measured = f"{watch.slowest} kept the event loop for {watch.longest * 1000:.0f} ms"


@final
class _StopWatch(trio.abc.Instrument):
    """Keep the longest step."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.slowest = ""
        self._began: float | None = None

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._began = time.perf_counter()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        # The step that added this instrument began without it.
        if self._began is None:
            return
        took = time.perf_counter() - self._began
        if took > self.longest:
            self.longest, self.slowest = took, task.name


@check("C19", "offline", "terminate", "failure", "closed while online", "error around it")
async def nothing_left(subject: Subject, case: Case) -> None:
    """However it ends, nothing is left.

    No task, process, descriptor, thread, memory channel or temporary file.
    """
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="trioresource-") as place:
        tempfile.tempdir = place
        try:
            await _live_and_end(subject, case)
        finally:
            tempfile.tempdir = before
        left = sorted(path.name for path in Path(place).iterdir())  # noqa: ASYNC240 - it is local
        require(not left, f"left behind in the directory for temporary files: {', '.join(left)}")


async def _live_and_end(subject: Subject, case: Case) -> None:
    error = RuntimeError("at the request of the check")
    try:
        async with open_harness(subject, case) as harness:
            await harness.come_online()
            if case.variant == "offline":
                await harness.go_offline()
            elif case.variant == "terminate":
                await harness.be_terminated()
            elif case.variant == "failure":
                harness.hosted.fail("at the request of the check")
                await harness.hosted.terminate()
            elif case.variant == "error around it":
                raise error
    except RuntimeError as caught:
        if caught is not error:
            raise


@check("C21")
async def any_commands(subject: Subject, case: Case) -> None:
    """Whatever two callers command, in any order, every command ends, and nothing is left."""
    async with open_harness(subject, case) as harness:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_command, harness, name="first")
            nursery.start_soon(_command, harness, name="second")
        await harness.hosted.terminate()
        harness.require_offline()


async def _command(harness: Harness) -> None:
    hosted = harness.hosted
    for _ in range(_COMMANDS_EACH):
        command = choose(_COMMANDS)
        if command == "online":
            await harness.try_online()
        elif command == "offline":
            await harness.try_offline()
        elif command == "terminate":
            await hosted.terminate()
        elif command == "fail":
            try:
                hosted.fail("at the request of the check")
            except InvalidStateError:
                await trio.lowlevel.checkpoint()


@check("C22")
async def same_again(subject: Subject, case: Case) -> None:
    """When the same is decided, it does the same.

    No order of a set, randomness without a seed, clock of its own, or state that outlives it.
    """
    async with open_harness(subject, case) as harness:
        await harness.come_online()
        await harness.ask_now()
        harness.hosted.fail("at the request of the check")
        await harness.hosted.terminate()
        await harness.come_online()
        await harness.go_offline()

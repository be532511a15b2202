"""Checks of the program around: C18, C19, C21 and C22."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

import trio

from ..._errors import InvalidStateError
from ..._model.policy import PollIntervals
from .._scheduling.scenario import choose
from .catalogue import check
from .stage import open_stage, require

if TYPE_CHECKING:
    from .cases import Case
    from .stage import Stage
    from .subject import Subject

LIMIT: Final = 0.05
"""Seconds of real time that one step of a task may take."""
_TRIES: Final = 3
_POLL: Final = PollIntervals(looks_alive=0.05, is_alive=0.1)
_POLLED: Final = 0.35
_COMMANDS: Final = ("online", "offline", "terminate", "fail", "nothing")
_EACH: Final = 2
"""Commands of each caller."""


@check("C18", once=True)
async def loop_stays_free(subject: Subject, case: Case) -> None:
    """No call of it holds up the event loop: each step takes less than 50 ms of real time.

    Measured up to three times, because others may hold up the computer.
    """
    for _ in range(_TRIES):
        watch = _StopWatch()
        trio.lowlevel.add_instrument(watch)
        try:
            async with open_stage(subject, case, poll=_POLL) as stage:
                await stage.come_online()
                await trio.sleep(_POLLED)
                await stage.go_offline()
                await stage.come_online()
                await stage.be_terminated()
        finally:
            trio.lowlevel.remove_instrument(watch)
        if watch.longest <= LIMIT:
            case.measured = ""
            return
        # Not raised here: nobody needs the simplest schedule of something that is slow.
        case.measured = f"{watch.slowest} kept the event loop for {watch.longest * 1000:.0f} ms"


@final
class _StopWatch(trio.abc.Instrument):
    """Remembers the longest step."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.slowest = ""
        self._began: float | None = None

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._began = time.perf_counter()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        # The step in which this was put in began without it.
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
        async with open_stage(subject, case) as stage:
            await stage.come_online()
            if case.variant == "offline":
                await stage.go_offline()
            elif case.variant == "terminate":
                await stage.be_terminated()
            elif case.variant == "failure":
                stage.hosted.fail("at the request of the check")
                await stage.hosted.terminate()
            elif case.variant == "error around it":
                raise error
    except RuntimeError as caught:
        if caught is not error:
            raise


@check("C21")
async def any_commands(subject: Subject, case: Case) -> None:
    """Whatever two callers command, in whatever order, every command ends, and nothing is left."""
    async with open_stage(subject, case) as stage:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_command, stage, name="first")
            nursery.start_soon(_command, stage, name="second")
        await stage.hosted.terminate()
        stage.require_offline()


async def _command(stage: Stage) -> None:
    hosted = stage.hosted
    for _ in range(_EACH):
        command = choose(_COMMANDS)
        if command == "online":
            await stage.try_online()
        elif command == "offline":
            await stage.try_offline()
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

    No set order, no randomness without a seed, no clock of its own, no state that outlives it.
    """
    async with open_stage(subject, case) as stage:
        await stage.come_online()
        await stage.ask_now()
        stage.hosted.fail("at the request of the check")
        await stage.hosted.terminate()
        await stage.come_online()
        await stage.go_offline()

"""Checks of coming online: C1 to C5, and C9 to C11."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import trio

from ..._model.policy import Deadlines, PollIntervals
from ..._model.states import ResourceState
from .._leaks import no_leaks
from .check import check
from .harness import PATIENT, SETTLED, open_harness, processes, require

if TYPE_CHECKING:
    from .cases import Case
    from .harness import Harness
    from .subject import Subject

_POLL: Final = PollIntervals(looks_alive=0.05, is_alive=0.1)
_POLLED: Final = 0.35
"""Seconds: a few polls."""


@check("C1")
async def open_then_close(subject: Subject, case: Case) -> None:
    """A handler that was never online leaves nothing when it is closed."""
    async with open_harness(subject, case) as harness:
        harness.require_offline()
    calls = harness.recorder.calls
    require(calls["open"] == calls["close"] == 1, "open and close were not called once each")


@check("C2")
async def comes_online(subject: Subject, case: Case) -> None:
    """It comes online, and its own checks pass as long as nothing has happened.

    The caller is answered within the soft deadline.
    """
    async with open_harness(subject, case, poll=_POLL) as harness:
        begun = trio.current_time()
        await harness.try_online()
        took = trio.current_time() - begun
        # A real clock goes on while other tasks run.
        limit = harness.hosted.deadlines.soft + (1.0 if subject.real else 1e-6)
        require(took <= limit, f"the caller was answered only after {took:g} s")
        await harness.be_online()
        await trio.sleep(_POLLED)
        figures = harness.hosted.statistics()
        state = harness.hosted.state
        online = state is ResourceState.ONLINE
        require(online, f"it is {state.value} after a few checks{harness.why}")
        require(not figures.suspicions, "looks_alive answered no, though nothing had happened")
        require(not figures.inconclusive_calls, "is_alive raised, though nothing had happened")
        await harness.be_terminated()


@check("C3", timers=True)
async def slow_online(subject: Subject, case: Case) -> None:
    """An online that takes longer than the soft deadline ends once.

    The caller is answered "pending".
    """
    await _answered(subject, case, attrs.evolve(PATIENT, soft=1e-6))


@check("C4", timers=True)
async def tie_at_the_soft_deadline(subject: Subject, case: Case) -> None:
    """The answer and the state never contradict each other.

    Not even when online ends in the instant in which the soft deadline expires.
    """
    await _answered(subject, case, PATIENT)


async def _answered(subject: Subject, case: Case, deadlines: Deadlines) -> None:
    async with open_harness(subject, case, deadlines=deadlines) as harness:
        hosted = harness.hosted
        # It may fail: in these schedules its own deadlines may also expire early.
        await harness.try_online()
        answer = hosted.state
        state = await hosted.wait_state(*SETTLED)
        if answer in (ResourceState.ONLINE, ResourceState.FAILED):
            require(state is answer, f"it was {answer.value}, and then {state.value}")
        ended = harness.times(ResourceState.ONLINE) + harness.times(ResourceState.FAILED)
        require(ended == 1, f"online has ended {ended} times")
        require(harness.recorder.calls["online"] == 1, "online was called more than once")
        await hosted.terminate()


def _ways_to_fail(subject: Subject) -> tuple[str, ...]:
    ways = ("online raises at its end",)
    return ways if subject.failing is None else (*ways, "with the failing properties")


@check("C5", choose=_ways_to_fail)
async def online_that_raises(subject: Subject, case: Case) -> None:
    """When online raises, the resource fails once.

    Nothing is left of that attempt, and the next one works.
    """
    natural = case.variant == "with the failing properties"
    properties = subject.failing if natural else subject.properties
    async with open_harness(subject, case, properties=properties) as harness:
        hosted = harness.hosted
        async with no_leaks():
            harness.recorder.fails_online = not natural
            await harness.try_online()
            state = await hosted.wait_state(ResourceState.ONLINE, ResourceState.FAILED)
            require(state is ResourceState.FAILED, "it came online with the failing properties")
            await hosted.terminate()
        require(len(harness.failures) == 1, f"it failed {len(harness.failures)} times")
        harness.require_offline()
        if not natural:
            harness.recorder.fails_online = False
            await harness.come_online()
            await harness.be_terminated()


@check("C9", "two callers", "a restart", thorough=True)
async def one_instance(subject: Subject, case: Case) -> None:
    """However many callers request online, one instance runs at any time, never two."""
    async with open_harness(subject, case) as harness:
        before = processes()
        if case.variant == "two callers":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(harness.try_online, name="first")
                nursery.start_soon(harness.try_online, name="second")
            await harness.be_online()
            require(harness.recorder.calls["online"] == 1, "online was called for each caller")
            await harness.be_terminated()
            return
        await harness.come_online()
        first = processes() - before
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_fail, harness, name="failure")
            nursery.start_soon(harness.try_online, name="restart")
        await harness.try_online()
        await harness.be_online()
        second = processes() - before
        require(
            second == first,
            f"after a restart there are {second} processes of it, and {first} before",
        )
        await harness.be_terminated()


async def _fail(harness: Harness) -> None:
    harness.hosted.fail("at the request of the check")
    await trio.lowlevel.checkpoint()


@check("C10", "asked again", "asked again and cancelled", thorough=True)
async def online_when_online(subject: Subject, case: Case) -> None:
    """Another request for online starts nothing, and a caller that stops waiting harms nothing."""
    async with open_harness(subject, case) as harness:
        value = await harness.come_online()
        before = processes()
        with trio.CancelScope() as scope:
            if case.variant == "asked again and cancelled":
                scope.cancel()
            await harness.hosted.online()
        await harness.ask_now()
        state = harness.hosted.state
        online = state is ResourceState.ONLINE
        require(online, f"it is {state.value}, which was not requested{harness.why}")
        require(harness.hosted.value is value, "it provides another value than before")
        require(harness.hosted.epoch == 1, "another attempt was begun")
        require(processes() == before, "another process was started")
        await harness.be_terminated()


@check("C11")
async def online_again(subject: Subject, case: Case) -> None:
    """It can go offline and come online again any number of times, and leaves nothing each time."""
    async with open_harness(subject, case) as harness:
        for _ in range(3):
            async with no_leaks():
                await harness.come_online()
                await harness.ask_now()
                state = harness.hosted.state
                online = state is ResourceState.ONLINE
                require(online, f"it is {state.value} after is_alive was called{harness.why}")
                await harness.go_offline()
        epoch = harness.hosted.epoch
        require(epoch == 3, f"it took {epoch} attempts to come online 3 times")

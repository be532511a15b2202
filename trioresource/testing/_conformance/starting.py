"""Checks of coming online: C1 to C5, and C9 to C11."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import trio

from ..._model.policy import Deadlines, PollIntervals
from ..._model.states import ResourceState
from .._leaks import no_leaks
from .catalogue import check
from .stage import PATIENT, open_stage, processes, require

if TYPE_CHECKING:
    from .cases import Case
    from .stage import Stage
    from .subject import Subject

_RS = ResourceState

_POLL: Final = PollIntervals(looks_alive=0.05, is_alive=0.1)
_POLLED: Final = 0.35
"""Seconds: a few polls."""


@check("C1")
async def open_then_close(subject: Subject, case: Case) -> None:
    """An instance that was never online leaves nothing when it is closed."""
    async with open_stage(subject, case) as stage:
        stage.require_offline()
    calls = stage.ledger.calls
    require(calls["open"] == calls["close"] == 1, "open and close were not called once each")


@check("C2")
async def comes_online(subject: Subject, case: Case) -> None:
    """It comes online, and its checks say that it is well for as long as it is.

    The caller is answered within the soft deadline.
    """
    async with open_stage(subject, case, poll=_POLL) as stage:
        begun = trio.current_time()
        await stage.try_online()
        took = trio.current_time() - begun
        # A real clock goes on while others compute.
        limit = stage.hosted.deadlines.soft + (1.0 if subject.real else 1e-6)
        require(took <= limit, f"the caller was answered after {took:g} s only")
        await stage.be_online()
        await trio.sleep(_POLLED)
        figures = stage.hosted.statistics()
        state = stage.hosted.state
        require(state is _RS.ONLINE, f"it is {state.value} after a few checks{stage.why}")
        require(not figures.suspicions, "looks_alive answered no, though nothing had happened")
        require(not figures.inconclusive_calls, "is_alive raised, though nothing had happened")
        await stage.be_terminated()


@check("C3", timers=True)
async def slow_online(subject: Subject, case: Case) -> None:
    """An online that takes longer than the soft deadline comes to its end, once.

    The caller is answered "pending".
    """
    await _answered(subject, case, attrs.evolve(PATIENT, soft=1e-6))


@check("C4", timers=True)
async def tie_at_the_soft_deadline(subject: Subject, case: Case) -> None:
    """The answer and the state never contradict each other.

    Not even when online is done in the instant in which the soft deadline expires.
    """
    await _answered(subject, case, PATIENT)


async def _answered(subject: Subject, case: Case, deadlines: Deadlines) -> None:
    async with open_stage(subject, case, deadlines=deadlines) as stage:
        hosted = stage.hosted
        # It may fail: its own deadlines expire early, too.
        await stage.try_online()
        answer = hosted.state
        state = await hosted.wait_state(_RS.ONLINE, _RS.OFFLINE, _RS.FAILED)
        if answer in (_RS.ONLINE, _RS.FAILED):
            require(state is answer, f"it was {answer.value}, and then {state.value}")
        ended = stage.times(_RS.ONLINE) + stage.times(_RS.FAILED)
        require(ended == 1, f"online has come to an end {ended} times")
        require(stage.ledger.calls["online"] == 1, "online was called more than once")
        await hosted.terminate()


def _ways_to_fail(subject: Subject) -> tuple[str, ...]:
    ways = ("online raises at its end",)
    return ways if subject.failing is None else (*ways, "with the failing properties")


@check("C5", choose=_ways_to_fail)
async def online_that_raises(subject: Subject, case: Case) -> None:
    """After an online that raised, the resource has failed, once.

    Nothing is left of that attempt, and the next one works.
    """
    natural = case.variant == "with the failing properties"
    properties = subject.failing if natural else subject.properties
    async with open_stage(subject, case, properties=properties) as stage:
        hosted = stage.hosted
        async with no_leaks():
            stage.ledger.fails_online = not natural
            await stage.try_online()
            state = await hosted.wait_state(_RS.ONLINE, _RS.FAILED)
            require(state is _RS.FAILED, "it came online with the failing properties")
            await hosted.terminate()
        require(len(stage.failures) == 1, f"it failed {len(stage.failures)} times")
        stage.require_offline()
        if not natural:
            stage.ledger.fails_online = False
            await stage.come_online()
            await stage.be_terminated()


@check("C9", "two callers", "a restart", thorough=True)
async def one_instance(subject: Subject, case: Case) -> None:
    """Whoever asks for online, and whenever, there is one instance at any time, never two."""
    async with open_stage(subject, case) as stage:
        before = processes()
        if case.variant == "two callers":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stage.try_online, name="first")
                nursery.start_soon(stage.try_online, name="second")
            await stage.be_online()
            require(stage.ledger.calls["online"] == 1, "online was called for each caller")
            await stage.be_terminated()
            return
        await stage.come_online()
        first = processes() - before
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_fail, stage, name="failure")
            nursery.start_soon(stage.try_online, name="restart")
        await stage.try_online()
        await stage.be_online()
        second = processes() - before
        require(
            second == first,
            f"after a restart there are {second} processes of it, and {first} before",
        )
        await stage.be_terminated()


async def _fail(stage: Stage) -> None:
    stage.hosted.fail("at the request of the check")
    await trio.lowlevel.checkpoint()


@check("C10", "asked again", "asked again and cancelled", thorough=True)
async def online_when_online(subject: Subject, case: Case) -> None:
    """To ask for online once more starts nothing, and who gives up waiting for it harms nothing."""
    async with open_stage(subject, case) as stage:
        value = await stage.come_online()
        before = processes()
        with trio.CancelScope() as scope:
            if case.variant == "asked again and cancelled":
                scope.cancel()
            await stage.hosted.online()
        await stage.ask_now()
        state = stage.hosted.state
        require(state is _RS.ONLINE, f"it is {state.value}, though nobody wanted that{stage.why}")
        require(stage.hosted.value is value, "it provides something else than before")
        require(stage.hosted.epoch == 1, "another attempt was begun")
        require(processes() == before, "another process was started")
        await stage.be_terminated()


@check("C11")
async def online_again(subject: Subject, case: Case) -> None:
    """It can go offline and come online again, each time leaving nothing, and as good as new."""
    async with open_stage(subject, case) as stage:
        for _ in range(3):
            async with no_leaks():
                await stage.come_online()
                await stage.ask_now()
                state = stage.hosted.state
                require(state is _RS.ONLINE, f"it is {state.value} when it is asked{stage.why}")
                await stage.go_offline()
        require(stage.hosted.epoch == 3, f"it took {stage.hosted.epoch} attempts to come online")

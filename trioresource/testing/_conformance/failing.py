"""Checks of failing: C15 to C17."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from ..._model.policy import PollIntervals
from ..._model.states import ResourceState
from .._leaks import no_leaks
from .catalogue import NotApplicable, check
from .stage import open_stage, require

if TYPE_CHECKING:
    from .cases import Case
    from .stage import Stage
    from .subject import Subject

_RS = ResourceState

_POLL: Final = PollIntervals(looks_alive=0.05, is_alive=0.1)
_NOTICED: Final = 5.0
"""Seconds within which a resource must have failed that was killed."""
_LATE: Final = 0.5
"""Seconds in which a late report would come."""

_NOTHING_TO_KILL: Final = "there is no process to kill; say with kill= how to break the resource"


@check("C15", "is_alive is asked", "it is polled")
async def killed_from_outside(subject: Subject, case: Case) -> None:
    """When what it stands for is killed from outside, the resource fails.

    A check that is made after that does not say that it is alive.
    """
    asked = case.variant == "is_alive is asked"
    kill = subject.killer()
    async with open_stage(subject, case, poll=None if asked else _POLL) as stage:
        async with no_leaks():
            value = await stage.come_online()
            if kill(value) is False:
                raise NotApplicable(_NOTHING_TO_KILL)
            if asked and stage.checks_itself and not subject.real:
                await stage.ask_now()
                await _settle(stage)
            else:
                with trio.move_on_after(_NOTICED):
                    await stage.hosted.wait_state(_RS.FAILED)
            state = stage.hosted.state
            when = "when is_alive was asked" if asked else f"{_NOTICED:g} s later"
            require(state is _RS.FAILED, f"it was killed, and is {state.value} {when}")
            await stage.hosted.terminate()
        require(len(stage.failures) == 1, f"it failed {len(stage.failures)} times")
        stage.require_offline()


async def _settle(stage: Stage) -> None:
    """Let what is under way in this instant come to its end."""
    with trio.move_on_after(0.01):
        await stage.hosted.wait_state(_RS.FAILED)


def _ways_to_fail(subject: Subject) -> tuple[str, ...]:
    return "by command", "killed", "after offline", "after terminate", "nobody listens"


@check("C16", choose=_ways_to_fail)
async def fails_once(subject: Subject, case: Case) -> None:
    """A failure is reported exactly once, and none is after offline or terminate.

    The handler does not mind when nobody listens.
    """
    kill = subject.killer()
    async with open_stage(subject, case, poll=_POLL) as stage:
        hosted = stage.hosted
        value = await stage.come_online()
        expected = 1
        if case.variant == "killed":
            if kill(value) is False:
                # The other variants say what there is to say.
                await stage.be_terminated()
                return
            with trio.move_on_after(_NOTICED):
                await hosted.wait_state(_RS.FAILED)
        elif case.variant == "after offline":
            expected = 0
            await stage.go_offline()
            kill(value)
        elif case.variant == "after terminate":
            expected = 0
            await stage.be_terminated()
            kill(value)
        else:
            if case.variant == "nobody listens":
                stage.monitor.reports.close()
            hosted.fail("at the request of the check")
        await trio.sleep(_LATE)
        failures = stage.hosted.statistics().failures
        require(failures == expected, f"{failures} failures were reported, not {expected}")
        await hosted.terminate()
        stage.require_offline()
        require(stage.hosted.statistics().failures == failures, "it failed when it was terminated")


@check("C17", "during online", "during offline")
async def dies_meanwhile(subject: Subject, case: Case) -> None:
    """What it stands for may die while it comes online or goes offline.

    At whatever wait: the attempt ends, and nothing is left.
    """
    kill = subject.killer()
    entry_point = case.variant.rpartition(" ")[2]
    killed: list[bool] = []
    async with open_stage(subject, case) as stage:
        hosted = stage.hosted
        value = None

        def cut() -> None:
            killed.append(kill(value) is not False)

        async with no_leaks():
            stage.ledger.cut_in(entry_point, case.wait, cut, cancels=False)
            await stage.try_online()
            if entry_point == "offline":
                value = await stage.be_online()
                await stage.try_offline()
            state = await hosted.wait_state(_RS.ONLINE, _RS.OFFLINE, _RS.FAILED)
            stage.swept()
            if any(killed) and state is _RS.ONLINE and stage.checks_itself:
                # It may have begun anew by itself; but it must be true that it is online.
                await stage.ask_now()
            await hosted.terminate()
        failures = len(stage.failures)
        require(failures <= 1, f"it failed {failures} times")
        stage.require_offline()

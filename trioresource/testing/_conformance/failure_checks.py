"""Checks of failures: C15 to C17."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from ..._model.policy import PollIntervals
from ..._model.states import ResourceState
from .._leaks import no_leaks
from .check import NotApplicable, check
from .harness import SETTLED, open_harness, require

if TYPE_CHECKING:
    from .cases import Case
    from .harness import Harness
    from .subject import Subject

_POLL: Final = PollIntervals(looks_alive=0.05, is_alive=0.1)
_NOTICED: Final = 5.0
"""Seconds within which a resource that was killed must have failed."""
_LATE: Final = 0.5
"""Seconds in which a report that is late would come."""

_NOTHING_TO_KILL: Final = "there is no process to kill; pass kill= to say how to break it"


@check("C15", "is_alive is asked", "it is polled")
async def killed_from_outside(subject: Subject, case: Case) -> None:
    """When what it stands for is killed from outside, the resource fails.

    After that, is_alive does not say that it is alive.
    """
    asked = case.variant == "is_alive is asked"
    kill = subject.killer()
    async with open_harness(subject, case, poll=None if asked else _POLL) as harness:
        async with no_leaks():
            value = await harness.come_online()
            if kill(value) is False:
                raise NotApplicable(_NOTHING_TO_KILL)
            if asked and harness.checks_itself and not subject.real:
                await harness.ask_now()
                await _settle(harness)
            else:
                with trio.move_on_after(_NOTICED):
                    await harness.hosted.wait_state(ResourceState.FAILED)
            state = harness.hosted.state
            when = "when is_alive was asked" if asked else f"{_NOTICED:g} s later"
            require(state is ResourceState.FAILED, f"it was killed, and is {state.value} {when}")
            await harness.hosted.terminate()
        require(len(harness.failures) == 1, f"it failed {len(harness.failures)} times")
        harness.require_offline()


async def _settle(harness: Harness) -> None:
    """Let end what goes on in this instant."""
    with trio.move_on_after(0.01):
        await harness.hosted.wait_state(ResourceState.FAILED)


def _ways_to_fail(subject: Subject) -> tuple[str, ...]:
    return "by command", "killed", "after offline", "after terminate", "no receiver"


@check("C16", choose=_ways_to_fail)
async def fails_once(subject: Subject, case: Case) -> None:
    """A failure is reported exactly once, and none after offline or terminate.

    A monitor whose reports are not received makes no difference.
    """
    kill = subject.killer()
    async with open_harness(subject, case, poll=_POLL) as harness:
        hosted = harness.hosted
        value = await harness.come_online()
        expected = 1
        if case.variant == "killed":
            if kill(value) is False:
                # Nothing can be killed; the other variants cover the rest.
                await harness.be_terminated()
                return
            with trio.move_on_after(_NOTICED):
                await hosted.wait_state(ResourceState.FAILED)
        elif case.variant == "after offline":
            expected = 0
            await harness.go_offline()
            kill(value)
        elif case.variant == "after terminate":
            expected = 0
            await harness.be_terminated()
            kill(value)
        else:
            if case.variant == "no receiver":
                harness.monitor.reports.close()
            hosted.fail("at the request of the check")
        await trio.sleep(_LATE)
        failures = hosted.statistics().failures
        require(failures == expected, f"{failures} failures were reported, not {expected}")
        await hosted.terminate()
        harness.require_offline()
        after = hosted.statistics().failures
        require(after == failures, "it failed when it was terminated")


@check("C17", "during online", "during offline")
async def dies_meanwhile(subject: Subject, case: Case) -> None:
    """What it stands for may die at any wait while it comes online or goes offline.

    The attempt ends, and nothing is left.
    """
    kill = subject.killer()
    entry_point = case.variant.rpartition(" ")[2]
    killed: list[bool] = []
    async with open_harness(subject, case) as harness:
        hosted = harness.hosted
        value = None

        def interrupt() -> None:
            killed.append(kill(value) is not False)

        async with no_leaks():
            harness.recorder.call_at_wait(entry_point, case.wait, interrupt, cancels=False)
            await harness.try_online()
            if entry_point == "offline":
                value = await harness.be_online()
                await harness.try_offline()
            state = await hosted.wait_state(*SETTLED)
            harness.swept()
            if any(killed) and state is ResourceState.ONLINE and harness.checks_itself:
                # It may have started again by itself; then it must really be online.
                await harness.ask_now()
            await hosted.terminate()
        failures = len(harness.failures)
        require(failures <= 1, f"it failed {failures} times")
        harness.require_offline()

"""Checks of offline, terminate and close: C6 to C8, C12 to C14, and C20."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from ..._errors import InvalidStateError
from .._leaks import no_leaks
from .check import check
from .harness import NAME, SETTLED, open_harness, require

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .call_recorder import CallRecorder
    from .cases import Case
    from .harness import Harness
    from .subject import Subject


@check("C6", "two callers", "at each wait of online", thorough=True)
async def terminate_beside_online(subject: Subject, case: Case) -> None:
    """Terminated at any moment while it comes online, it is offline in bounded time.

    Nothing is left.
    """
    async with open_harness(subject, case) as harness:
        hosted = harness.hosted
        async with no_leaks():
            if case.variant == "two callers":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(harness.try_online, name="online")
                    nursery.start_soon(hosted.terminate, name="terminate")
            else:
                harness.recorder.call_at_wait("online", case.wait, hosted.begin_terminate)
                await harness.try_online()
                if harness.swept():
                    await harness.be_offline()
            await harness.be_terminated()


@check("C7", "before its first step", "never online", "twice", "after offline", "after a failure")
async def terminate_at_odd_times(subject: Subject, case: Case) -> None:
    """Terminate does no harm when nothing runs, or nothing has begun yet."""
    async with open_harness(subject, case) as harness:
        hosted = harness.hosted
        async with no_leaks():
            if case.variant == "before its first step":
                hosted.begin_online()
            elif case.variant != "never online":
                await harness.come_online()
            if case.variant == "twice":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(hosted.terminate, name="first")
                    nursery.start_soon(hosted.terminate, name="second")
            elif case.variant == "after offline":
                await harness.go_offline()
            elif case.variant == "after a failure":
                hosted.fail("at the request of the check")
            await harness.be_terminated()
            await harness.be_terminated()
        if case.variant == "before its first step":
            require(not harness.recorder.calls["online"], "online began after terminate")


@check("C8", "two callers", "at each wait of offline", thorough=True)
async def terminate_beside_offline(subject: Subject, case: Case) -> None:
    """Terminated while it goes offline, it is offline, and nothing is left."""
    async with open_harness(subject, case) as harness:
        hosted = harness.hosted
        async with no_leaks():
            await harness.come_online()
            if case.variant == "two callers":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(harness.try_offline, name="offline")
                    nursery.start_soon(hosted.terminate, name="terminate")
            else:
                harness.recorder.call_at_wait("offline", case.wait, hosted.begin_terminate)
                await harness.try_offline()
                harness.swept()
            await harness.be_terminated()


@check("C12", "never online", "online before", "two callers")
async def offline_is_idempotent(subject: Subject, case: Case) -> None:
    """Offline leaves nothing. Another request, or one before it was online, does no harm."""
    async with open_harness(subject, case) as harness:
        async with no_leaks():
            if case.variant != "never online":
                await harness.come_online()
            if case.variant == "two callers":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(harness.go_offline, name="first")
                    nursery.start_soon(harness.go_offline, name="second")
            else:
                await harness.go_offline()
        await harness.go_offline()
        require(harness.recorder.calls["offline"] <= 1, "offline was called again")
        require(not harness.failures, f"it failed{harness.why}")


@check("C13", "open", "online", "is_alive", "offline")
async def cancelled_anywhere(subject: Subject, case: Case) -> None:
    """An entry point that is cancelled at any of its waits lets Cancelled through.

    It leaves nothing behind, and the next attempt works.
    """
    if case.variant == "open":
        await _cancelled_in_open(subject, case)
        return
    async with open_harness(subject, case) as harness:
        async with no_leaks():
            harness.recorder.call_at_wait(case.variant, case.wait, harness.hosted.begin_terminate)
            await harness.try_online()
            if case.variant != "online":
                await harness.be_online()
            if case.variant == "is_alive":
                await harness.ask_now()
            elif case.variant == "offline":
                await harness.try_offline()
            harness.swept()
            await harness.be_terminated()
        harness.require_obedient()
        if case.reached:
            await harness.come_online()
            await harness.be_terminated()


async def _cancelled_in_open(subject: Subject, case: Case) -> None:
    """Cancel ``open`` at a wait. No close follows it, so it must itself leave nothing."""
    case.sweeps, case.reached = True, False
    with trio.CancelScope() as scope:

        def interrupt() -> None:
            case.reached = True
            scope.cancel()

        def prepare(recorder: CallRecorder) -> None:
            recorder.call_at_wait("open", case.wait, interrupt)

        async with open_harness(subject, case, before_open=prepare):
            pass


@check("C14", "at each wait of online", "at each wait of offline", "while it is online")
async def everything_cancelled(subject: Subject, case: Case) -> None:
    """Its clean-up is shielded where it waits, and bounded.

    When everything around it is cancelled, it leaves nothing, within the terminate deadline.
    """
    bound = 0.0
    began: float | None = None

    def interrupt() -> None:
        nonlocal began
        began = trio.current_time()
        scope.cancel()

    with trio.CancelScope() as scope:
        async with open_harness(subject, case) as harness:
            bound = harness.hosted.deadlines.terminate
            if case.variant == "while it is online":
                await harness.come_online()
                interrupt()
                await trio.lowlevel.checkpoint()
            entry_point = case.variant.rpartition(" ")[2]
            harness.recorder.call_at_wait(entry_point, case.wait, interrupt)
            case.sweeps, case.reached = True, False
            await harness.try_online()
            if entry_point == "offline":
                await harness.be_online()
                await harness.try_offline()
            await _rest(harness)
    if began is not None:
        case.reached = case.sweeps
        took = trio.current_time() - began
        require(took <= bound, f"it took {took:g} s to end, and {bound:g} s are allowed")


async def _rest(harness: Harness) -> None:
    """Wait until the resource settles; the cancellation comes meanwhile, or never."""
    await harness.hosted.wait_state(*SETTLED)
    await trio.lowlevel.checkpoint()


@check("C20", "never online", "coming online", "online", "offline", "failed")
async def close_in_any_state(subject: Subject, case: Case) -> None:
    """It can be closed in any state, leaves nothing, and is not called any more."""
    async with open_harness(subject, case) as harness:
        hosted = harness.hosted
        if case.variant == "coming online":
            hosted.begin_online()
        elif case.variant != "never online":
            await harness.come_online()
        if case.variant == "offline":
            await harness.go_offline()
        elif case.variant == "failed":
            hosted.fail("at the request of the check")
        await harness.monitor.unhost(NAME)
        calls = dict(harness.recorder.calls)
        require(calls["close"] == 1, f"close was called {calls['close']} times")
        for name, call in (("online", hosted.online), ("control", _control(harness))):
            try:
                await call()
            except InvalidStateError:
                continue
            require(False, f"{name} works on a closed handler")
        require(harness.recorder.calls == calls, "the handler was called after it had been closed")


def _control(harness: Harness) -> Callable[[], Awaitable[object]]:
    return lambda: harness.hosted.control("any")

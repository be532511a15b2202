"""Checks of going away: C6 to C8, C12 to C14, and C20."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from ..._errors import InvalidStateError
from ..._model.states import ResourceState
from .._leaks import no_leaks
from .catalogue import check
from .stage import NAME, open_stage, require

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .cases import Case
    from .stage import Stage
    from .subject import Subject

_RS = ResourceState


@check("C6", "two callers", "at each wait of online", thorough=True)
async def terminate_beside_online(subject: Subject, case: Case) -> None:
    """Terminated while it comes online, it is offline in bounded time.

    At whatever moment, nothing is left.
    """
    async with open_stage(subject, case) as stage:
        hosted = stage.hosted
        async with no_leaks():
            if case.variant == "two callers":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(stage.try_online, name="online")
                    nursery.start_soon(hosted.terminate, name="terminate")
            else:
                stage.ledger.cut_in("online", case.wait, hosted.begin_terminate)
                await stage.try_online()
                if stage.swept():
                    await stage.be_offline()
            await stage.be_terminated()


@check("C7", "before its first step", "never online", "twice", "after offline", "after a failure")
async def terminate_at_odd_times(subject: Subject, case: Case) -> None:
    """To terminate it does no harm when there is nothing to terminate, or nothing yet."""
    async with open_stage(subject, case) as stage:
        hosted = stage.hosted
        async with no_leaks():
            if case.variant == "before its first step":
                hosted.begin_online()
            elif case.variant != "never online":
                await stage.come_online()
            if case.variant == "twice":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(hosted.terminate, name="first")
                    nursery.start_soon(hosted.terminate, name="second")
            elif case.variant == "after offline":
                await stage.go_offline()
            elif case.variant == "after a failure":
                hosted.fail("at the request of the check")
            await stage.be_terminated()
            await stage.be_terminated()
        if case.variant == "before its first step":
            require(not stage.ledger.calls["online"], "online began after it had been terminated")


@check("C8", "two callers", "at each wait of offline", thorough=True)
async def terminate_beside_offline(subject: Subject, case: Case) -> None:
    """Terminated while it goes offline, it is offline, and nothing is left."""
    async with open_stage(subject, case) as stage:
        hosted = stage.hosted
        async with no_leaks():
            await stage.come_online()
            if case.variant == "two callers":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(stage.try_offline, name="offline")
                    nursery.start_soon(hosted.terminate, name="terminate")
            else:
                stage.ledger.cut_in("offline", case.wait, hosted.begin_terminate)
                await stage.try_offline()
                stage.swept()
            await stage.be_terminated()


@check("C12", "never online", "online before", "two callers")
async def offline_is_idempotent(subject: Subject, case: Case) -> None:
    """To go offline leaves nothing, and to ask for it again, or too early, does no harm."""
    async with open_stage(subject, case) as stage:
        async with no_leaks():
            if case.variant != "never online":
                await stage.come_online()
            if case.variant == "two callers":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(stage.go_offline, name="first")
                    nursery.start_soon(stage.go_offline, name="second")
            else:
                await stage.go_offline()
        await stage.go_offline()
        require(stage.ledger.calls["offline"] <= 1, "offline was called again")
        require(not stage.failures, f"it failed{stage.why}")


@check("C13", "open", "online", "is_alive", "offline")
async def cancelled_anywhere(subject: Subject, case: Case) -> None:
    """Cancelled wherever it waits, an entry point lets that through.

    It leaves nothing behind, and the next attempt works.
    """
    if case.variant == "open":
        await _cancelled_in_open(subject, case)
        return
    async with open_stage(subject, case) as stage:
        async with no_leaks():
            stage.ledger.cut_in(case.variant, case.wait, stage.hosted.begin_terminate)
            await stage.try_online()
            if case.variant != "online":
                await stage.be_online()
            if case.variant == "is_alive":
                await stage.ask_now()
            elif case.variant == "offline":
                await stage.try_offline()
            stage.swept()
            await stage.be_terminated()
        stage.require_obedient()
        if case.reached:
            await stage.come_online()
            await stage.be_terminated()


async def _cancelled_in_open(subject: Subject, case: Case) -> None:
    """There is no close after an open that was cancelled: it leaves nothing by itself."""
    case.sweeps, case.reached = True, False
    with trio.CancelScope() as scope:

        def cut() -> None:
            case.reached = True
            scope.cancel()

        async with open_stage(
            subject, case, before_open=lambda ledger: ledger.cut_in("open", case.wait, cut)
        ):
            pass


@check("C14", "at each wait of online", "at each wait of offline", "while it is online")
async def everything_cancelled(subject: Subject, case: Case) -> None:
    """Its clean-up is shielded where it waits, and bounded.

    Also when everything around it is cancelled, it leaves nothing, in the terminate deadline.
    """
    bound = 0.0
    began: float | None = None

    def cut() -> None:
        nonlocal began
        began = trio.current_time()
        scope.cancel()

    with trio.CancelScope() as scope:
        async with open_stage(subject, case) as stage:
            bound = stage.hosted.deadlines.terminate
            if case.variant == "while it is online":
                await stage.come_online()
                cut()
                await trio.lowlevel.checkpoint()
            entry_point = case.variant.rpartition(" ")[2]
            stage.ledger.cut_in(entry_point, case.wait, cut)
            case.sweeps, case.reached = True, False
            await stage.try_online()
            if entry_point == "offline":
                await stage.be_online()
                await stage.try_offline()
            await _rest(stage)
    if began is not None:
        case.reached = case.sweeps
        took = trio.current_time() - began
        require(took <= bound, f"it took {took:g} s to end, and {bound:g} s are allowed")


async def _rest(stage: Stage) -> None:
    """Wait for the end of what was begun; the cancellation comes meanwhile, or never."""
    await stage.hosted.wait_state(_RS.ONLINE, _RS.OFFLINE, _RS.FAILED)
    await trio.lowlevel.checkpoint()


@check("C20", "never online", "coming online", "online", "offline", "failed")
async def close_in_any_state(subject: Subject, case: Case) -> None:
    """It can be closed whatever its state, leaves nothing, and is not called any more."""
    async with open_stage(subject, case) as stage:
        hosted = stage.hosted
        if case.variant == "coming online":
            hosted.begin_online()
        elif case.variant != "never online":
            await stage.come_online()
        if case.variant == "offline":
            await stage.go_offline()
        elif case.variant == "failed":
            hosted.fail("at the request of the check")
        await stage.monitor.unhost(NAME)
        calls = dict(stage.ledger.calls)
        require(calls["close"] == 1, f"close was called {calls['close']} times")
        for name, call in (("online", hosted.online), ("control", _control(stage))):
            try:
                await call()
            except InvalidStateError:
                continue
            require(False, f"{name} works on a closed handler")
        require(stage.ledger.calls == calls, "the handler was called after it had been closed")


def _control(stage: Stage) -> Callable[[], Awaitable[object]]:
    return lambda: stage.hosted.control("any")

"""The handler of a workload: does as it is told, and tells what happens to it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, final

import attrs
import trio

from tests.lifecycle_model.observations import Ended, Entered, Entry, Held, How, Left, Released
from tests.lifecycle_model.operations import Behave, Finish, Manner
from trioresource._handler import ResourceHandler, resource_type
from trioresource._model.properties import Properties

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tests.lifecycle_model.observations import Observation
    from trioresource._handler import OnlineScope

__all__ = ["CALLER", "Actor", "ActorProperties", "Script", "TrustedActor"]

CALLER: Final[ContextVar[str]] = ContextVar("lifecycle_caller", default="")
"""Whose context it is."""

_FINE: Final = Behave(None)


class ActorProperties(Properties):
    """What is set for an actor."""

    value: int = 0


@final
@attrs.define
class Script:
    """What the driver and one actor share."""

    name: str
    tell: Callable[[Observation], object] = lambda seen: None
    """Takes note of what happens."""
    manners: dict[Entry | None, Behave] = attrs.field(factory=dict)
    scopes: list[OnlineScope] = attrs.field(factory=list)
    """Of every attempt so far."""
    ending: Finish | None = None
    """How the background task is to end."""
    detects: bool = False
    """Whether it has a failure source of its own."""
    cue: trio.Event = attrs.field(factory=trio.Event)
    """Is set when it is to end."""
    quit: Callable[[], Awaitable[object]] | None = None
    """Terminates the resource."""
    progress: Callable[[OnlineScope], object] = lambda scope: scope.report_progress()
    """Reports progress."""


class Actor(ResourceHandler[ActorProperties]):
    """A handler with two contexts and a background task.

    Args:
        script: what it shares with the driver.
    """

    def __init__(self, script: Script) -> None:
        self._script = script

    async def online(self, scope: OnlineScope) -> int:
        """Enter a context, start a task, enter another context."""
        script = self._script
        script.scopes.append(scope)
        self._enter(Entry.ONLINE, scope.epoch)
        async with _watched(self._script, Entry.ONLINE):
            await scope.enter(self._context(f"context 1 of {scope.epoch}"))
            script.ending, script.cue = None, trio.Event()
            scope.start_soon(self._background, scope.epoch, name="background")
            if script.detects:
                scope.failure_channel()
            await self._act(Entry.ONLINE, scope)
            await scope.enter(self._context(f"context 2 of {scope.epoch}"))
        return scope.epoch

    async def offline(self, scope: OnlineScope) -> None:
        """Take the time it is told to take."""
        self._enter(Entry.OFFLINE, scope.epoch)
        async with _watched(self._script, Entry.OFFLINE):
            await self._act(Entry.OFFLINE, scope)

    async def terminate(self) -> None:
        """Take the time it is told to take."""
        self._enter(Entry.TERMINATE, 0)
        async with _watched(self._script, Entry.TERMINATE):
            await self._act(Entry.TERMINATE, None)

    def looks_alive(self) -> bool:
        """Answer as it is told."""
        self._enter(Entry.LOOKS_ALIVE, 0)
        return self._manner(Entry.LOOKS_ALIVE).manner is not Manner.DENY

    async def is_alive(self) -> bool:
        """Answer as it is told."""
        self._enter(Entry.IS_ALIVE, 0)
        alive = self._manner(Entry.IS_ALIVE).manner is not Manner.DENY
        async with _watched(self._script, Entry.IS_ALIVE, alive=alive):
            await self._act(Entry.IS_ALIVE, None)
        return alive

    async def control(self, code: str, argument: object = None) -> str:
        """Take the time it is told to take."""
        self._enter(Entry.CONTROL, 0)
        async with _watched(self._script, Entry.CONTROL):
            await self._act(Entry.CONTROL, None)
        return code

    def _enter(self, entry: Entry, epoch: int) -> None:
        task = trio.lowlevel.current_task().name
        value, now = self.properties.value, trio.current_time()
        self._script.tell(Entered(self.name, entry, epoch, task, CALLER.get(), value, now))

    def _manner(self, entry: Entry | None) -> Behave:
        return self._script.manners.get(entry, _FINE)

    async def _act(self, entry: Entry, scope: OnlineScope | None) -> None:
        told = self._manner(entry)
        if told.manner is Manner.STUBBORN:
            with trio.CancelScope(shield=True):
                await trio.sleep(told.takes)
            await trio.lowlevel.checkpoint_if_cancelled()
        elif told.manner is Manner.PROGRESS and scope is not None:
            await trio.sleep(told.takes / 2)
            self._script.progress(scope)
            await trio.sleep(told.takes / 2)
        elif told.takes:
            await trio.sleep(told.takes)
        if told.manner is Manner.RAISE:
            raise RuntimeError(f"{entry.value} raises, as it was told")

    @asynccontextmanager
    async def _context(self, what: str) -> AsyncGenerator[None, None]:
        task = trio.lowlevel.current_task().name
        self._script.tell(Held(self.name, what, task, trio.current_time()))
        try:
            yield
        finally:
            told = self._manner(None)
            with trio.CancelScope(shield=True):
                if told.takes:
                    await trio.sleep(told.takes)
            raises = told.manner is Manner.RAISE
            self._script.tell(Released(self.name, what, trio.current_time(), raises))
            if raises:
                raise RuntimeError(f"{what} raises, as it was told")

    async def _background(self, epoch: int) -> None:
        script = self._script
        what = f"task of {epoch}"
        task = trio.lowlevel.current_task().name
        script.tell(Held(self.name, what, task, trio.current_time()))
        how, raises = How.CANCELLED, False
        try:
            await script.cue.wait()
            ending = script.ending
            if ending is not None and ending.terminating and script.quit is not None:
                await script.quit()
            raises = ending is not None and ending.manner is Manner.RAISE
            how = How.RAISED if raises else How.RETURNED
        finally:
            script.tell(Ended(self.name, what, how, trio.current_time()))
        if raises:
            raise RuntimeError("the background task raises, as it was told")


@final
@resource_type("trusted actor", trust_signals=True)
class TrustedActor(Actor):
    """An actor whose reports count without being verified."""


@asynccontextmanager
async def _watched(
    script: Script, entry: Entry, *, alive: bool = True
) -> AsyncGenerator[None, None]:
    """Tell how the body ended."""
    how = How.CANCELLED
    try:
        yield
        how = How.RETURNED
    except Exception:
        how = How.RAISED
        raise
    finally:
        script.tell(Left(script.name, entry, how, trio.current_time(), alive))

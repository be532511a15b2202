"""Faults: what the handlers of a test are told to do wrong, and when."""

from __future__ import annotations

import functools
from math import inf
from typing import TYPE_CHECKING, Any, Final, Literal, final, get_args

import attrs
import trio

from .._handler import ResourceHandler

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._handler import HandlerFactory, OnlineScope

__all__ = ["EntryPoint", "Faults", "InjectedFault"]

EntryPoint = Literal[
    "open", "online", "offline", "terminate", "close", "looks_alive", "is_alive", "control"
]
"""What can be told to go wrong."""

_ENTRY_POINTS: Final = get_args(EntryPoint)


@attrs.define
class _Fault:
    times: float
    error: BaseException | None = None
    seconds: float = 0.0
    stubborn: bool = False
    answer: bool | None = None


class InjectedFault(Exception):
    """What a handler raises that was told to fail, unless the test gave another error."""


@final
class Faults:
    """What is to go wrong, by resource and entry point.

    Faults of one entry point come in the order in which they were asked for; then its
    handler is as it was. What is asked for takes effect at the next call.
    """

    def __init__(self) -> None:
        self._faults: dict[tuple[str, str], list[_Fault]] = {}
        self._scopes: dict[str, OnlineScope] = {}
        self._crashes: dict[str, list[tuple[trio.Event, list[BaseException]]]] = {}

    def fail(
        self,
        resource: str,
        entry: EntryPoint,
        *,
        times: float = 1,
        error: BaseException | None = None,
    ) -> None:
        """Let an entry point raise.

        Args:
            resource: the resource's name.
            entry: which entry point.
            times: how many calls; ``math.inf`` for all of them.
            error: what is raised; by default an ``InjectedFault``.
        """
        text = f"{entry} of {resource} was told to fail"
        self._add(resource, entry, _Fault(times, error=error or InjectedFault(text)))

    def slow(self, resource: str, entry: EntryPoint, seconds: float, *, times: float = 1) -> None:
        """Let an entry point take its time, before it does what it does.

        Args:
            resource: the resource's name.
            entry: which entry point, except ``looks_alive``.
            seconds: how long.
            times: how many calls.
        """
        self._add(resource, entry, _Fault(times, seconds=seconds))

    def hang(
        self,
        resource: str,
        entry: EntryPoint,
        *,
        times: float = 1,
        ignoring_cancellation_for: float = 0.0,
    ) -> None:
        """Let an entry point never come back by itself.

        Args:
            resource: the resource's name.
            entry: which entry point, except ``looks_alive``.
            times: how many calls.
            ignoring_cancellation_for: how many seconds, from the call on, it does not even
                obey its cancellation.
        """
        seconds = ignoring_cancellation_for
        if seconds:
            self._add(resource, entry, _Fault(times, seconds=seconds, stubborn=True))
        else:
            self._add(resource, entry, _Fault(times, seconds=inf))

    def lie(
        self,
        resource: str,
        *,
        entry: Literal["looks_alive", "is_alive"] = "is_alive",
        answer: bool = False,
        times: float = 1,
    ) -> None:
        """Let a check answer without looking.

        Args:
            resource: the resource's name.
            entry: which check.
            answer: what it answers.
            times: how many calls.
        """
        self._add(resource, entry, _Fault(times, answer=answer))

    def crash(self, resource: str, error: BaseException | None = None) -> None:
        """Let a background task of the attempt that is online raise.

        Args:
            resource: the resource's name.
            error: what is raised; by default an ``InjectedFault``.

        Raises:
            KeyError: it has not been online.
        """
        cue, errors = self._crashes[resource][-1]
        errors.append(error or InjectedFault(f"a task of {resource} was told to crash"))
        cue.set()

    def report(self, resource: str, detail: str = "a fault was reported") -> bool:
        """Let the handler report a failure, as ``scope.report_failure`` does.

        Args:
            resource: the resource's name.
            detail: what was seen.

        Returns:
            False if it was dropped, because the attempt is over.

        Raises:
            KeyError: it has not been online.
        """
        return self._scopes[resource].report_failure(detail)

    def clear(self, resource: str | None = None) -> None:
        """Forget the faults that have not come yet.

        Args:
            resource: those of one resource only.
        """
        for key in [one for one in self._faults if resource in (None, one[0])]:
            del self._faults[key]

    def wrap(self, handler: HandlerFactory) -> HandlerFactory:
        """Make handlers that can go wrong.

        The handler is the same, and of a subclass of its class. In it ``is_alive`` and
        ``terminate`` are always defined, so that ``is_alive`` is polled.

        Args:
            handler: anything that makes a handler.

        Returns:
            Something to be given to ``Cluster.add`` or ``ResourceMonitor.host``.
        """

        def make() -> ResourceHandler[Any]:
            instance = handler()
            instance.__class__ = self._faulty(type(instance))
            return instance

        return make

    def _add(self, resource: str, entry: str, fault: _Fault) -> None:
        if entry not in _ENTRY_POINTS:
            raise ValueError(f"{entry!r} is no entry point; there are {', '.join(_ENTRY_POINTS)}")
        if entry == "looks_alive" and fault.seconds:
            raise ValueError("looks_alive can not take time: it would block the event loop")
        self._faults.setdefault((resource, entry), []).append(fault)

    def _take(self, resource: str, entry: str) -> _Fault | None:
        faults = self._faults.get((resource, entry))
        if not faults:
            return None
        fault = faults[0]
        fault.times -= 1
        if fault.times <= 0:
            faults.pop(0)
        return fault

    async def _strike(self, resource: str, entry: str) -> bool | None:
        """Go wrong as it was told; gives an answer if that is not to be asked for."""
        fault = self._take(resource, entry)
        if fault is None:
            return None
        if fault.stubborn:
            with trio.CancelScope(shield=True):
                await trio.sleep(fault.seconds)
            await trio.sleep_forever()
        if fault.seconds:
            await trio.sleep(fault.seconds)
        if fault.error is not None:
            raise fault.error
        return fault.answer

    def _faulty(self, kind: type[ResourceHandler[Any]]) -> type[ResourceHandler[Any]]:
        """A subclass whose entry points ask first what is to go wrong."""
        members: dict[str, Any] = {
            name: self._entry_point(name, getattr(kind, name))
            for name in _ENTRY_POINTS
            if name != "looks_alive"
        }
        if kind.looks_alive is not ResourceHandler.looks_alive:
            members["looks_alive"] = self._looks_alive(kind.looks_alive)
        members["online"] = self._online(members["online"])
        # Otherwise these would be made anew for the subclass.
        members["type_info"] = kind.type_info
        members["__module__"], members["__qualname__"] = kind.__module__, kind.__qualname__
        return type(kind.__name__, (kind,), members)

    def _entry_point(self, entry: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def entry_point(handler: ResourceHandler[Any], *args: Any) -> Any:
            answer = await self._strike(handler.name, entry)
            return await original(handler, *args) if answer is None else answer

        return entry_point

    def _looks_alive(self, original: Callable[..., bool]) -> Callable[..., bool]:
        @functools.wraps(original)
        def looks_alive(handler: ResourceHandler[Any]) -> bool:
            fault = self._take(handler.name, "looks_alive")
            if fault is not None and fault.error is not None:
                raise fault.error
            if fault is not None and fault.answer is not None:
                return fault.answer
            return original(handler)

        return looks_alive

    def _online(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def online(handler: ResourceHandler[Any], scope: OnlineScope) -> Any:
            cue = trio.Event()
            errors: list[BaseException] = []
            self._scopes[handler.name] = scope
            self._crashes.setdefault(handler.name, []).append((cue, errors))
            scope.start_soon(_crash, cue, errors, name="fault")
            return await original(handler, scope)

        return online


async def _crash(cue: trio.Event, errors: list[BaseException]) -> None:
    await cue.wait()
    raise errors[0]

"""Let the handlers of a test go wrong, as the test says."""

from __future__ import annotations

import functools
from math import inf
from typing import TYPE_CHECKING, Any, Final, Literal, final, get_args

import attrs
import trio

from .._handler import ResourceHandler
from .._util.construction import NoPublicConstructor

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._handler import HandlerFactory, OnlineScope

EntryPoint = Literal[
    "open", "online", "offline", "terminate", "close", "looks_alive", "is_alive", "control"
]
"""The entry points that can go wrong."""

_ENTRY_POINTS: Final = get_args(EntryPoint)


@attrs.define
class _Fault:
    times: float
    error: BaseException | None = None
    seconds: float = 0.0
    stubborn: bool = False
    answer: bool | None = None


class InjectedFault(Exception):
    """The error of a fault, unless the test gave another error."""


@final
class Faults(metaclass=NoPublicConstructor):
    """What is to go wrong, by resource and entry point.

    Each fault takes effect at the next call of its entry point. Several faults of one entry
    point come in the order in which they were requested. After them, the entry point works as
    before.
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
            times: for how many calls; ``math.inf`` for all of them.
            error: what is raised; by default an ``InjectedFault``.
        """
        text = f"{entry} of {resource} was told to fail"
        self._add(resource, entry, _Fault(times, error=error or InjectedFault(text)))

    def slow(self, resource: str, entry: EntryPoint, seconds: float, *, times: float = 1) -> None:
        """Let an entry point take time before it does its work.

        Args:
            resource: the resource's name.
            entry: which entry point, except ``looks_alive``.
            seconds: how long.
            times: for how many calls.
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
        """Let an entry point never return by itself.

        Args:
            resource: the resource's name.
            entry: which entry point, except ``looks_alive``.
            times: for how many calls.
            ignoring_cancellation_for: for how many seconds, from the call on, it ignores
                its cancellation as well.
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
        """Let ``is_alive`` or ``looks_alive`` answer without looking.

        Args:
            resource: the resource's name.
            entry: which of the two.
            answer: what it answers.
            times: for how many calls.
        """
        self._add(resource, entry, _Fault(times, answer=answer))

    def crash(self, resource: str, error: BaseException | None = None) -> None:
        """Let a background task of the attempt that is online raise.

        Args:
            resource: the resource's name.
            error: what is raised; by default an ``InjectedFault``.

        Raises:
            KeyError: the resource has not been online.
        """
        requested, errors = self._crashes[resource][-1]
        errors.append(error or InjectedFault(f"a task of {resource} was told to crash"))
        requested.set()

    def report(self, resource: str, detail: str = "a fault was reported") -> bool:
        """Let the handler report a failure, as ``scope.report_failure`` does.

        Args:
            resource: the resource's name.
            detail: what was seen.

        Returns:
            False if it was dropped, because the attempt is over.

        Raises:
            KeyError: the resource has not been online.
        """
        return self._scopes[resource].report_failure(detail)

    def clear(self, resource: str | None = None) -> None:
        """Forget the faults that have not happened yet.

        Args:
            resource: only those of this resource; by default all.
        """
        for key in [key for key in self._faults if resource in (None, key[0])]:
            del self._faults[key]

    def wrap(self, handler: HandlerFactory) -> HandlerFactory:
        """Let the handlers that a factory makes go wrong.

        The handlers do the same as before, and belong to a subclass of their class. The
        subclass always defines ``is_alive`` and ``terminate``, so that ``is_alive`` is polled.

        Args:
            handler: anything that makes a handler.

        Returns:
            A factory for ``Cluster.add`` or ``ResourceMonitor.host``.
        """

        def make() -> ResourceHandler[Any]:
            instance = handler()
            instance.__class__ = self._faulty(type(instance))
            return instance

        return make

    def _add(self, resource: str, entry: str, fault: _Fault) -> None:
        if entry not in _ENTRY_POINTS:
            raise ValueError(f"{entry!r} is no entry point; known: {', '.join(_ENTRY_POINTS)}")
        if entry == "looks_alive" and fault.seconds:
            raise ValueError("looks_alive cannot take time: it would block the event loop")
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
        """Do what the next fault says; return the answer that it gives, if it gives one."""
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
        """Make a subclass whose entry points first do what the next fault says."""
        members: dict[str, Any] = {
            name: self._entry_point(name, getattr(kind, name))
            for name in _ENTRY_POINTS
            if name != "looks_alive"
        }
        if kind.looks_alive is not ResourceHandler.looks_alive:
            members["looks_alive"] = self._looks_alive(kind.looks_alive)
        members["online"] = self._online(members["online"])
        # Otherwise the subclass would make these anew, under another name.
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
            requested = trio.Event()
            errors: list[BaseException] = []
            self._scopes[handler.name] = scope
            self._crashes.setdefault(handler.name, []).append((requested, errors))
            scope.start_soon(_crash, requested, errors, name="fault")
            return await original(handler, scope)

        return online


async def _crash(requested: trio.Event, errors: list[BaseException]) -> None:
    await requested.wait()
    raise errors[0]

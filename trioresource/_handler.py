"""What authors write: a handler says what a resource is, and has no policy.

A handler may be written with Trio or with anyio.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, final, get_args, get_origin

import attrs
from typing_extensions import TypeVar

from ._errors import UnknownControlCode
from ._model.policy import Deadlines, PollIntervals
from ._model.properties import NoProperties, Properties

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    import trio

PropertiesT = TypeVar("PropertiesT", bound=Properties, default=NoProperties)
HandlerT = TypeVar("HandlerT", bound="type[ResourceHandler[Any]]")
T = TypeVar("T")

_LOGGER = logging.getLogger("trioresource.handler")


class OnlineScope(ABC):
    """One attempt at being online, as its handler sees it.

    Given to ``online`` and ``offline``. What is entered or started here lives until
    the attempt ends, and is left in reverse order, in the task that entered it.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the resource."""

    @property
    @abstractmethod
    def epoch(self) -> int:
        """The number of this attempt: 1 for the first, rising by one."""

    @property
    @abstractmethod
    def terminated(self) -> bool:
        """Whether the attempt has been terminated or has failed.

        May be read from any thread: code that works in a thread, where cancellation
        does not reach, asks this between its steps and returns when it is True
        (Windows: ``ClusWorkerCheckTerminate``).
        """

    @abstractmethod
    async def enter(self, manager: AbstractAsyncContextManager[T] | AbstractContextManager[T]) -> T:
        """Enter a context that is left when the attempt ends.

        Call it from ``online`` (or ``offline``) itself, not from a task started here:
        a context must be left in the task that entered it.

        Args:
            manager: an asynchronous or a plain context manager.

        Returns:
            What the context manager gives.

        Raises:
            RuntimeError: called from another task than the attempt's own.
        """

    @abstractmethod
    def start_soon(
        self, fn: Callable[..., Awaitable[object]], *args: Any, name: str | None = None
    ) -> None:
        """Run a background task for as long as the attempt lasts.

        If it raises, or returns before the attempt ends, the resource has failed. It begins
        also when the attempt is over by then, so that it can close what it was given.

        Args:
            fn: an async function.
            args: its positional arguments.
            name: the name of the task in task trees; by default the function's.
        """

    @abstractmethod
    async def start(
        self, fn: Callable[..., Awaitable[object]], *args: Any, name: str | None = None
    ) -> Any:
        """Run a background task and wait until it calls ``task_status.started(value)``.

        Afterwards it is watched like a task of ``start_soon``. If the wait is
        cancelled, so is the task.

        Args:
            fn: an async function that takes a ``task_status`` keyword, as
                ``nursery.start`` accepts it.
            args: its positional arguments.
            name: the name of the task in task trees; by default the function's.

        Returns:
            The value given to ``started``.
        """

    @abstractmethod
    def report_progress(self, message: str = "", *, fraction: float | None = None) -> bool:
        """Say that a pending entry point is getting on; this restarts the pending clock.

        Args:
            message: what was reached, in words for people.
            fraction: how much is done, 0 to 1.

        Returns:
            True to go on; False if the attempt is over, so that the report was
            dropped and whatever is being done should stop.
        """

    @abstractmethod
    def report_failure(self, detail: str) -> bool:
        """Say that the resource may have failed; ``is_alive`` is asked before it counts.

        May be called from any thread and never blocks. An attempt fails once, however
        often it is reported; a report that ``is_alive`` denies may be followed by others.

        Args:
            detail: what was seen, in words for people.

        Returns:
            False if the attempt is over, or is going offline, and the report was
            dropped. From another thread True if the report is on its way.
        """

    @abstractmethod
    def failure_channel(self) -> trio.MemorySendChannel[str]:
        """Announce a failure source of the handler's own, and get a channel for it.

        What is sent counts as a call of ``report_failure``: ``send_nowait("lost the
        primary")``. The channel has no bound, so sending never waits. Hand it to any task of
        this Trio run; other threads call ``report_failure``. A detector that serves many
        resources holds one channel of each. Closing it means nothing.

        From then on, for this attempt, ``looks_alive`` is not polled: the source is
        faster. ``is_alive`` polling goes on (Windows: the event handle that Online
        hands back).

        Returns:
            The sending end of a memory channel, another one for each call. The attempt closes
            it when it ends; sending raises ``trio.ClosedResourceError`` from then on.

        Raises:
            RuntimeError: the attempt is over.
        """


class ResourceHandler(Generic[PropertiesT]):
    """What a resource is: how to bring it up, look at it and take it down.

    A class of its own for each type, an instance for each resource. All methods have
    defaults; ``online`` is the one that every handler writes. Any of them may raise:
    the resource then fails, and nothing else does.

    Entry points run one at a time, ``terminate`` excepted. ``open`` and ``close``
    bracket everything else. They run under the monitor's context, never the caller's.
    """

    properties_type: ClassVar[type[Properties]] = NoProperties
    """Taken from the type argument of ``ResourceHandler[...]``."""
    type_info: ClassVar[ResourceType]
    """What ``resource_type()`` said; defaults otherwise."""

    properties: PropertiesT
    """The properties in use, frozen from each online to the next."""
    name: str = ""
    """The resource's name. Set, like ``properties``, before ``open`` is called."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            if get_origin(base) is None or not issubclass(get_origin(base), ResourceHandler):
                continue
            for argument in get_args(base):
                if isinstance(argument, type) and issubclass(argument, Properties):
                    cls.properties_type = argument
        if "type_info" not in cls.__dict__:
            inherited: ResourceType | None = getattr(cls, "type_info", None)
            own_name = f"{cls.__module__}:{cls.__qualname__}"
            cls.type_info = (
                ResourceType(name=own_name)
                if inherited is None
                else attrs.evolve(inherited, name=own_name)
            )

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger that puts the type and the name of the resource before each line."""
        return _Prefixed(_LOGGER, {"prefix": f"{self.type_info.name} {self.name}: "})

    async def open(self) -> None:
        """Prepare the instance; called once, before everything else.

        Bound: the deadlock deadline. If it raises, the resource is not hosted.
        """

    async def online(self, scope: OnlineScope) -> Any:
        """Bring the resource to an operational state.

        May take as long as it likes while it reports progress at least once in each
        pending deadline. After the soft deadline (300 ms) callers are told that it is
        pending; nothing is cancelled. Cancellation means that the attempt is over:
        let it through, and leave what is not in the scope.

        Args:
            scope: the attempt; whatever is entered or started in it is left by itself.

        Returns:
            What the resource provides to others, as ``resource.value``.
        """

    async def offline(self, scope: OnlineScope) -> None:
        """Take the resource down in good order; afterwards the scope is left.

        Bounded like ``online``, by progress.

        Args:
            scope: the same that ``online`` was given.
        """

    async def terminate(self) -> None:
        """Undo what cancellation can not, as soon as possible.

        Called after an attempt was terminated or failed, once its tasks and contexts
        have gone. Shielded from cancellation and bounded by the terminate deadline.
        Must also do no harm where nothing is left to undo.
        """

    async def close(self) -> None:
        """Let go of the instance; called once, last, when the resource is offline.

        Bound: the deadlock deadline.
        """

    def looks_alive(self) -> bool:
        """Whether the resource seems well: cheap, on the event loop, never blocking.

        Polled every 5 s by default. A False, or an exception, leads to ``is_alive`` at
        once and is no failure in itself. Handlers that do not define it are not polled.
        """
        return True

    async def is_alive(self) -> bool:
        """Whether the resource works: thorough, bounded by the deadlock deadline.

        Polled every 60 s by default, and asked when there is a suspicion. False means
        failed. An exception means that the check could not be made, which is reported
        and is no failure in itself. Cancelled when the attempt ends.
        """
        return self.looks_alive()

    async def control(self, code: str, argument: Any = None) -> Any:
        """Carry out a command of the type's own; may come in any state.

        Bound: the deadlock deadline. Waits for its turn among the entry points.

        Args:
            code: the command.
            argument: whatever goes with it.

        Returns:
            The answer for the caller.

        Raises:
            UnknownControlCode: the handler does not know the code.
        """
        raise UnknownControlCode(f"{self.name}: {self.type_info.name} has no control code {code!r}")

    def properties_changed(self, previous: PropertiesT) -> None:
        """``self.properties`` was replaced while online; all that changed is dynamic.

        Args:
            previous: the properties that were in use before.
        """


class _Prefixed(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        assert self.extra is not None
        return f"{self.extra['prefix']}{msg}", kwargs


@attrs.frozen(kw_only=True)
class ResourceType:
    """What holds for every resource of a type, unless the resource says otherwise."""

    name: str
    deadlines: Deadlines = Deadlines()
    poll: PollIntervals = PollIntervals()
    trust_signals: bool = False
    """Whether a reported failure counts at once, without asking ``is_alive``."""
    property_defaults: Mapping[str, Any] = attrs.field(factory=dict)
    """Defaults of the type: below what is set for a resource, above the schema's."""


def resource_type(
    name: str,
    *,
    deadlines: Deadlines | None = None,
    poll: PollIntervals | None = None,
    trust_signals: bool = False,
    property_defaults: Mapping[str, Any] | None = None,
) -> Callable[[HandlerT], HandlerT]:
    """Give a handler class the name of its type and the defaults of all its resources.

    Args:
        name: the name of the type, as cluster files and events show it.
        deadlines: the deadlines of resources that set none.
        poll: the poll intervals of resources that set none.
        trust_signals: whether ``report_failure`` counts without asking ``is_alive``.
        property_defaults: values for properties that a resource does not set.

    Returns:
        A class decorator.
    """
    info = ResourceType(
        name=name,
        deadlines=deadlines or Deadlines(),
        poll=poll or PollIntervals(),
        trust_signals=trust_signals,
        property_defaults=dict(property_defaults or {}),
    )

    def decorate(cls: HandlerT) -> HandlerT:
        cls.type_info = info
        return cls

    return decorate


HandlerFactory = Callable[[], ResourceHandler[Any]]
"""A handler class, or anything that makes a handler when called."""


@resource_type("service")
class ServiceHandler(ResourceHandler[NoProperties]):
    """A function as a resource; see ``service()``."""

    def __init__(self, fn: Callable[..., Awaitable[object]], args: tuple[Any, ...]) -> None:
        self._fn = fn
        self._args = args

    async def online(self, scope: OnlineScope) -> Any:
        """Run the function; online is when it says ``started``."""
        return await scope.start(self._fn, *self._args)


@final
@attrs.frozen
class Service:
    """A function that makes a resource as it stands; made by ``service()``."""

    fn: Callable[..., Awaitable[object]]
    args: tuple[Any, ...]

    def __call__(self) -> ResourceHandler[Any]:
        """A new handler that runs the function."""
        return ServiceHandler(self.fn, self.args)


def service(fn: Callable[..., Awaitable[object]], *args: Any) -> Service:
    """Make a resource of any function that ``nursery.start`` accepts.

    It is online when the function calls ``task_status.started(value)``, and ``value``
    is what it provides. Its crash, or its return, is a failure. Going offline cancels
    it.

    Args:
        fn: an async function that takes ``task_status``.
        args: its positional arguments.

    Returns:
        Something to give to ``cluster.add`` or ``monitor.host`` as the handler.
    """
    return Service(fn, args)


# A base class without an argument of its own still needs the information of a type.
ResourceHandler.type_info = ResourceType(name="resource")

"""Define handlers, which say what a resource is and how to bring it up and down.

A handler has no policy: when to start and what to do after a failure is decided by the cluster.
It may be written with Trio or with anyio.
"""

from __future__ import annotations

import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    Generic,
    Never,
    final,
    get_args,
    get_origin,
)

import attrs
from typing_extensions import TypeVar

from ._errors import InvalidStateError, UnknownControlCode
from ._model.policy import Deadlines, PollIntervals
from ._model.properties import NoProperties, Properties
from ._util.arguments import refuse_keywords, show
from ._util.callables import is_async

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    import trio

PropertiesT = TypeVar("PropertiesT", bound=Properties, default=NoProperties)
HandlerT = TypeVar("HandlerT", bound="type[ResourceHandler[Any]]")
T = TypeVar("T")

_LOGGER = logging.getLogger("trioresource.handler")


class OnlineScope(ABC):
    """Give a handler what it needs during one attempt at being online.

    The monitor passes it to ``online`` and ``offline``. Contexts that are entered here and tasks
    that are started here live until the attempt ends. Then they are left in reverse order, in the
    task that entered them.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """Return the name of the resource."""

    @property
    @abstractmethod
    def epoch(self) -> int:
        """Return the number of this attempt: 1 for the first one, rising by one."""

    @property
    @abstractmethod
    def terminated(self) -> bool:
        """Tell whether the attempt has been terminated or has failed.

        Read it in code that runs in a thread, where cancellation does not arrive: between two
        steps, and return when it is True (Windows: ``ClusWorkerCheckTerminate``). It may be
        read from any thread.
        """

    @abstractmethod
    async def enter(self, manager: AbstractAsyncContextManager[T] | AbstractContextManager[T]) -> T:
        """Enter a context that is left when the attempt ends.

        Call it in ``online`` or ``offline`` itself. A context must be left in the task that
        entered it, so a background task uses a plain ``async with`` instead.

        Args:
            manager: an asynchronous or a plain context manager.

        Returns:
            What entering the context manager returns.

        Raises:
            RuntimeError: called in a task other than the attempt's own, or the attempt is over.
        """

    @abstractmethod
    def start_soon(
        self,
        fn: Callable[..., Awaitable[object]],
        *args: Any,
        name: str | None = None,
        **keywords: Never,
    ) -> None:
        """Start a background task that is cancelled when the attempt ends.

        If the task raises, or returns before the attempt ends, the resource has failed. The
        function is called even if the attempt ends before the task's first step, so that it can
        close what it was given.

        Args:
            fn: an async function.
            args: its positional arguments.
            name: the name of the task in task trees; by default the function's.
            keywords: refused; use ``functools.partial(fn, key=value)``.

        Raises:
            RuntimeError: the attempt is over.
            TypeError: keyword arguments for the function.
        """

    @abstractmethod
    async def start(
        self,
        fn: Callable[..., Awaitable[object]],
        *args: Any,
        name: str | None = None,
        **keywords: Never,
    ) -> Any:
        """Start a background task and wait until it calls ``task_status.started(value)``.

        From then on, its end is a failure, as for a task of ``start_soon``. Cancelling the wait
        cancels the task.

        Args:
            fn: an async function that takes a ``task_status`` keyword, as
                ``nursery.start`` accepts it.
            args: its positional arguments.
            name: the name of the task in task trees; by default the function's.
            keywords: refused; use ``functools.partial(fn, key=value)``.

        Returns:
            The value that the task passes to ``started``.

        Raises:
            RuntimeError: the attempt is over.
            TypeError: keyword arguments for the function.
            Exception: what the task raised before it called ``started``.
        """

    @abstractmethod
    def report_progress(self, message: str = "", *, fraction: float | None = None) -> bool:
        """Report progress of ``online`` or ``offline``, and restart the pending clock.

        While neither of the two runs, it changes nothing.

        Args:
            message: what was achieved, in words for people.
            fraction: how much is done, from 0 to 1.

        Returns:
            True to go on. False if the attempt is over: the report was dropped, and the caller
            should stop.

        Raises:
            TypeError: the message is not a ``str``, or the fraction is not a number.
            ValueError: the fraction is not from 0 to 1.
        """

    @abstractmethod
    def report_failure(self, detail: str) -> bool:
        """Report that the resource may have failed; ``is_alive`` is asked before it counts.

        Never blocks, and may be called from any thread. An attempt fails at most once, however
        often a failure is reported. If ``is_alive`` denies the failure, a later report is
        verified anew. A type with ``trust_signals=True`` fails at once.

        Args:
            detail: what was seen, in words for people.

        Returns:
            False if the attempt is over or goes offline: the report was dropped. From another
            thread, True means that the report is on its way.

        Raises:
            TypeError: the detail is not a ``str``.
        """

    @abstractmethod
    def failure_channel(self) -> trio.MemorySendChannel[str]:
        """Open a channel on which a detector sends the failures that it notices.

        Each message counts as a call of ``report_failure``: ``send_nowait("lost the primary")``.
        The channel has no bound, so sending never waits. Pass it to any task of this Trio run; a
        detector in another thread calls ``report_failure``. A detector that watches many
        resources holds a channel of each. Closing the channel changes nothing. A message that is
        no ``str`` counts as well, and is reported as its ``repr``.

        From the first call on, ``looks_alive`` is not polled in this attempt, because the
        detector is faster. ``is_alive`` is polled as before (Windows: the event handle that
        Online returns).

        Returns:
            The sending end of a memory channel, another one for each call. The attempt closes
            it when it ends. From then on, sending raises ``trio.ClosedResourceError``.

        Raises:
            RuntimeError: the attempt is over.
        """


class ResourceHandler(Generic[PropertiesT]):
    """Say what a resource is: how to bring it up, check it and take it down.

    Write a class for each type of resource; the monitor makes an instance for each resource. All
    methods have defaults, and nearly every handler defines ``online``. If a method raises, its
    resource fails, and nothing else does.

    The methods ``open``, ``online``, ``offline``, ``is_alive``, ``control`` and ``close`` of one
    instance run one at a time. ``open`` comes first and ``close`` last. All of them run under the
    context variables of the monitor, never of the caller.
    """

    properties_type: ClassVar[type[Properties]] = NoProperties
    """The class of the properties: the type argument of ``ResourceHandler[...]``."""
    type_info: ClassVar[ResourceType]
    """What holds for all resources of the type; set by ``resource_type()``."""

    properties: PropertiesT
    """The properties in use. They do not change between one online and the next, except for
    dynamic ones."""
    name: str = ""
    """The name of the resource. The monitor sets it, like ``properties``, before ``open``."""
    _hosted_id: int | None = None
    # Its own id() while a monitor hosts it. A plain flag would be true in a copy as well.

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
        """Return a logger that puts the type and the name of the resource before each line."""
        return _Prefixed(_LOGGER, {"prefix": f"{self.type_info.name} {self.name}: "})

    async def open(self) -> None:
        """Prepare the instance; called once, before everything else.

        Bounded by the deadlock deadline. If it raises, the resource is not added.
        """

    async def online(self, scope: OnlineScope) -> Any:
        """Bring the resource to an operational state.

        It may take any time, as long as it calls ``scope.report_progress`` at least once within
        each pending deadline. After the soft deadline (300 ms) the caller of
        ``resource.online()`` is told that it is pending; nothing is cancelled.

        Let ``trio.Cancelled`` through: it means that the attempt is over. What was entered or
        started in the scope is left by the monitor; clean up everything else.

        Args:
            scope: the attempt.

        Returns:
            What the resource provides to others, as ``resource.value``.
        """

    async def offline(self, scope: OnlineScope) -> None:
        """Take the resource down in good order, before the monitor leaves the scope.

        Bounded like ``online``: by the time between two progress reports.

        Args:
            scope: the attempt, the same object as in ``online``.
        """

    async def terminate(self) -> None:
        """Undo what cancellation cannot undo.

        Called after an attempt was terminated or failed, when its tasks and contexts have ended.
        Shielded from cancellation, and bounded by the terminate deadline. It must do no harm
        when there is nothing to undo.
        """

    async def close(self) -> None:
        """Release what ``open`` has prepared; called once, last, when no attempt is left.

        Bounded by the deadlock deadline.
        """

    def looks_alive(self) -> bool:
        """Tell whether the resource seems to work. Cheap; must not block the event loop.

        Polled every 5 s by default, if the handler defines it. False, or an exception, leads to
        a call of ``is_alive`` at once. It is not a failure by itself.
        """
        return True

    async def is_alive(self) -> bool:
        """Tell whether the resource works. Thorough; bounded by the deadlock deadline.

        Polled every 60 s by default, and called when ``looks_alive`` says no or a failure was
        reported. False means that the resource has failed. An exception means that the check
        could not be made: it is reported, and is not a failure by itself. The call is cancelled
        when the attempt ends.
        """
        return self.looks_alive()

    async def control(self, code: str, argument: Any = None) -> Any:
        """Carry out a command that the type defines; may be called in any state.

        Bounded by the deadlock deadline, and waits for its turn among the entry points.

        Args:
            code: the command.
            argument: the argument of the command; what it is, the type defines.

        Returns:
            The answer for the caller.

        Raises:
            UnknownControlCode: the handler does not know the code.
        """
        raise UnknownControlCode(f"{self.name}: {self.type_info.name} has no control code {code!r}")

    def properties_changed(self, previous: PropertiesT) -> None:
        """Apply properties that were changed while online; all that changed are dynamic.

        ``self.properties`` has the new values already. Must not block.

        Args:
            previous: the properties that were in use before.
        """


class _Prefixed(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        assert self.extra is not None
        return f"{self.extra['prefix']}{msg}", kwargs


@attrs.frozen(kw_only=True)
class ResourceType:
    """Hold what is true for every resource of a type, unless the resource says otherwise."""

    name: str
    deadlines: Deadlines = Deadlines()
    poll: PollIntervals = PollIntervals()
    trust_signals: bool = False
    """Whether a reported failure counts at once, without a call of ``is_alive``."""
    property_defaults: Mapping[str, Any] = attrs.field(factory=dict)
    """Defaults of the type. A value that is set for a resource wins over them; they win over the
    defaults of the properties' class."""


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
        trust_signals: whether a reported failure counts without a call of ``is_alive``.
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
"""A handler class, or any function without arguments that returns a new handler."""


@resource_type("service")
class ServiceHandler(ResourceHandler[NoProperties]):
    """Run a function as a resource; see ``service()``."""

    def __init__(self, fn: Callable[..., Awaitable[object]], args: tuple[Any, ...]) -> None:
        self._fn = fn
        self._args = args

    async def online(self, scope: OnlineScope) -> Any:
        """Start the function; the resource is online when it calls ``started``."""
        return await scope.start(self._fn, *self._args)


@final
@attrs.frozen
class Service:
    """Make handlers that run one function; made by ``service()``."""

    fn: Callable[..., Awaitable[object]]
    args: tuple[Any, ...]

    def __call__(self) -> ResourceHandler[Any]:
        """Make a new handler that runs the function."""
        return ServiceHandler(self.fn, self.args)


def service(fn: Callable[..., Awaitable[object]], *args: Any, **keywords: Never) -> Service:
    """Make a handler of any function that ``nursery.start`` accepts.

    The resource is online when the function calls ``task_status.started(value)``, and ``value`` is
    what the resource provides. It has failed when the function raises or returns. Going offline
    cancels the function.

    Args:
        fn: an async function that takes ``task_status``.
        args: its positional arguments.
        keywords: refused; use ``functools.partial(fn, key=value)``.

    Returns:
        A handler factory, for ``cluster.add`` or ``monitor.host``.

    Raises:
        TypeError: the function is not async, or there are keyword arguments for it.
    """
    refuse_keywords("service()", keywords)
    given: object = fn
    if inspect.iscoroutine(given):
        # Closed, or Python would warn that nothing has awaited it.
        given.close()
        raise TypeError(
            f"service() takes the function, not what it returns: service({given.__name__}, ...)"
            f" and not service({given.__name__}(...))"
        )
    if not callable(given) or is_async(given) is False:
        raise TypeError(f"service() needs an async function, not {show(given)}")
    return Service(fn, args)


_ASYNC_ENTRY_POINTS: Final = (
    "open",
    "online",
    "offline",
    "terminate",
    "close",
    "is_alive",
    "control",
)
_PLAIN_ENTRY_POINTS: Final = ("looks_alive", "properties_changed")

_PARAMETERS: Final = {
    "online": "(self, scope)",
    "offline": "(self, scope)",
    "control": "(self, code, argument=None)",
    "properties_changed": "(self, previous)",
}
"""The parameters of the entry points that have any, for errors."""


def make_handler(factory: object, *, resource: str) -> ResourceHandler[Any]:
    """Make the handler of a resource, and check that it can be one.

    Args:
        factory: what the user gave as the handler.
        resource: the name of the resource, for errors.

    Raises:
        TypeError: it makes no handler, or one that cannot work.
        InvalidStateError: the handler is that of another resource already.
        Exception: what the factory raised.
    """
    wrong = _find_factory_mistake(factory)
    if wrong:
        raise TypeError(f"handler of {resource!r}: {wrong}")
    assert callable(factory)
    made = factory()
    if not isinstance(made, ResourceHandler):
        shown = show(made)
        if inspect.iscoroutine(made):
            made.close()
        raise TypeError(
            f"handler of {resource!r}: {show(factory)} returned {shown}, and not a new"
            " trioresource.ResourceHandler"
        )
    mistakes = _find_entry_point_mistakes(made)
    if mistakes:
        raise TypeError(f"handler of {resource!r}: {'; '.join(mistakes)}")
    if made._hosted_id == id(made):
        raise InvalidStateError(
            f"handler of {resource!r}: {show(factory)} returned the handler of {made.name!r} again;"
            " each resource needs a handler of its own, so make a new one at each call"
        )
    return made


def mark_hosted(handler: ResourceHandler[Any], *, is_hosted: bool) -> None:
    """Note whether a monitor hosts a handler, so that no other resource gets it meanwhile."""
    handler._hosted_id = id(handler) if is_hosted else None


def _find_factory_mistake(factory: object) -> str | None:
    """Say what is wrong with a factory, as far as that is seen without calling it."""
    if isinstance(factory, ResourceHandler):
        return (
            f"{show(factory)} is a handler already; pass its class, or a function that makes a new"
            " handler at each call"
        )
    if inspect.iscoroutine(factory):
        # Closed, or Python would warn that nothing has awaited it.
        factory.close()
        return f"{show(factory)} is a call; to run an async function, pass service(fn, *args)"
    if isinstance(factory, type):
        if not issubclass(factory, ResourceHandler):
            return f"{factory.__name__} is no subclass of trioresource.ResourceHandler"
    elif not callable(factory):
        return f"{show(factory)} is neither a handler class nor a function that makes a handler"
    elif is_async(factory):
        return f"{show(factory)} is an async function; to run it, pass service(fn, *args)"
    return None


def _find_entry_point_mistakes(handler: ResourceHandler[Any]) -> list[str]:
    kind = type(handler)
    mistakes = []
    for names, must_be_async in ((_ASYNC_ENTRY_POINTS, True), (_PLAIN_ENTRY_POINTS, False)):
        for name in names:
            inherited = getattr(ResourceHandler, name)
            if getattr(kind, name) is inherited and name not in vars(handler):
                if name == "online":
                    mistakes.append(
                        f"{kind.__qualname__} does not define online(); write"
                        " `async def online(self, scope)`"
                    )
                continue
            # Of the instance, so that a partialmethod or an attribute is seen as it is called.
            found = getattr(handler, name)
            if not callable(found):
                mistakes.append(f"{kind.__qualname__}.{name} is {show(found)}, not a method")
                continue
            found_async = is_async(found)
            if found_async and must_be_async:
                continue
            if inspect.isgeneratorfunction(found) or inspect.isasyncgenfunction(found):
                mistakes.append(f"{kind.__qualname__}.{name} must not contain a yield")
            elif found_async is (not must_be_async):
                right = "async def" if must_be_async else "def"
                nature = "is not an async function" if must_be_async else "must not be async"
                mistakes.append(
                    f"{kind.__qualname__}.{name} {nature}; write"
                    f" `{right} {name}{_PARAMETERS.get(name, '(self)')}`"
                )
    return mistakes


# A base class without an argument of its own still needs the information of a type.
ResourceHandler.type_info = ResourceType(name="resource")

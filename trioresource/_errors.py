"""The errors of trioresource: flat, under one base, each saying whose fault it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class TrioResourceError(Exception):
    """The base of every error that trioresource raises on purpose."""


class InvalidStateError(TrioResourceError):
    """The state of the resource does not allow what the caller asked for.

    Look at ``resource.state`` first, or wait for the state with
    ``resource.wait_state()``.
    """


class ResourceNotAvailable(TrioResourceError):
    """The resource is not online, so what it provides cannot be used.

    No mistake: resources come and go. Wait with ``wait_online()`` and try again.
    """


class OnlineFailed(TrioResourceError):
    """The resource could not come online; the handler, or what it manages, is at fault.

    ``__cause__`` is the exception that the handler raised, if it raised one.
    """


class OfflineFailed(TrioResourceError):
    """The resource did not go offline in good order; the handler is at fault.

    The attempt was terminated and the resource has failed. The cluster does not restart
    a resource that failed while going offline.
    """


class ProviderFailed(TrioResourceError):
    """A resource that this one depends on has failed, and the cluster does not restart it.

    The message names the provider. Mend the provider and bring it online again.
    """


class ResourceGaveUp(TrioResourceError):
    """A resource with ``on_give_up="raise"`` has given up; its handler is at fault.

    Its budget of restarts was spent. It may also be what the handler manages that is at fault.
    Everything was taken offline in order before this came out of ``open_cluster()``.
    ``__cause__`` is the exception of the handler behind the last failure, if there is one.
    Further resources that gave up meanwhile are named in notes of this error.

    Attributes:
        resource: the name of the resource.
    """

    def __init__(self, message: str, resource: str = "") -> None:
        super().__init__(message)
        self.resource: str = resource


class PropertyError(TrioResourceError):
    """The caller gave properties that the resource type does not accept.

    Attributes:
        mistakes: one line for each mistake, all of them, in the order in which the type
            defines its properties.
    """

    def __init__(self, message: str, mistakes: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.mistakes: tuple[str, ...] = tuple(mistakes)


class DependencyError(TrioResourceError):
    """The dependencies that the caller gave are invalid; the message lists each mistake."""


class ResourceLocked(TrioResourceError):
    """The resource, or a resource that it depends on, is locked by an operator.

    Unlock it first.
    """


class ResourceStuck(TrioResourceError):
    """An earlier attempt was cancelled and has still not ended; its handler is at fault.

    The handler swallows cancellation, blocks in a thread, or shields a wait without
    a bound. The resource cannot come online until the attempt has ended.

    Attributes:
        task_tree: the tasks that are left, each with the line at which it waits.
    """

    def __init__(self, message: str, task_tree: str = "") -> None:
        super().__init__(message)
        self.task_tree: str = task_tree


class NodePaused(TrioResourceError):
    """The node is paused: no resource may come online on it until it is resumed."""


class ConfigError(TrioResourceError):
    """The cluster file has mistakes; nothing was started.

    Attributes:
        mistakes: one line for each mistake: file, line, key, what is wrong and what
            would be right.
    """

    def __init__(self, message: str, mistakes: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.mistakes: tuple[str, ...] = tuple(mistakes)


class UnknownControlCode(TrioResourceError):
    """The caller sent a control code that the handler does not know."""


class UnknownType(TrioResourceError):
    """The caller named a resource type that does not exist or cannot be used.

    The message lists the types that exist, or says why this type cannot be loaded.
    """

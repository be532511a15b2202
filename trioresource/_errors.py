"""The errors of trioresource: flat, under one base, each telling whose fault it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class TrioResourceError(Exception):
    """The base of every error that trioresource raises on purpose."""


class InvalidStateError(TrioResourceError):
    """The caller asked for something that the resource's state does not allow.

    Look at ``resource.state`` first, or wait for the state with
    ``resource.wait_state()``.
    """


class ResourceNotAvailable(TrioResourceError):
    """The resource is not online, so what it provides can not be used.

    Nobody's fault: resources come and go. Wait with ``wait_online()`` and try again.
    """


class OnlineFailed(TrioResourceError):
    """The resource could not come online; the handler or what it manages is at fault.

    ``__cause__`` is the handler's own exception where there was one.
    """


class OfflineFailed(TrioResourceError):
    """The resource did not go offline in good order; the handler is at fault.

    The attempt was terminated and the resource is failed. A failure while going
    offline is never recovered.
    """


class ProviderFailed(TrioResourceError):
    """A resource that this one depends on has failed and is not being recovered.

    Mend the provider; it is named in the message.
    """


class PropertyError(TrioResourceError):
    """The caller gave properties that the resource type does not accept.

    Attributes:
        mistakes: one line for each mistake, all of them, in the order of the type's
            definition.
    """

    def __init__(self, message: str, mistakes: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.mistakes: tuple[str, ...] = tuple(mistakes)


class DependencyError(TrioResourceError):
    """The caller gave invalid dependencies; the message lists each mistake."""


class ResourceLocked(TrioResourceError):
    """The resource, or one it depends on, is locked: an operator said hands off.

    Unlock it first.
    """


class ResourceStuck(TrioResourceError):
    """An earlier attempt was cancelled and has still not ended; its handler is at fault.

    The handler swallows cancellation, blocks in a thread, or shields a wait without
    a bound. The resource can not come online until the attempt is gone.

    Attributes:
        task_tree: the tasks that are left, with the line each one stands at.
    """

    def __init__(self, message: str, task_tree: str = "") -> None:
        super().__init__(message)
        self.task_tree: str = task_tree


class NodePaused(TrioResourceError):
    """The node is paused: nothing may come online here until it is resumed."""


class NotOwner(TrioResourceError):
    """Another node owns the group; ask that node, or move the group first."""


class StoreUnavailable(TrioResourceError):
    """The store that keeps the cluster's state did not answer; nothing was changed."""


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
    """The caller named an unknown resource type, or a type that cannot be used.

    The message lists the known types, or says why the type cannot be loaded.
    """

"""What a scenario may say to the exploration that it runs in.

All of it may also be used where no exploration runs, and then does the plain thing.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

import trio

from .options import Cancellable
from .running import current

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

__all__ = ["always", "cancellable", "choose", "external"]

T = TypeVar("T")


def choose(options: Sequence[T]) -> T:
    """Let the schedule decide something else than who goes next.

    For what a fake does: whether a call fails, in which order things come, how long they
    take. The decision is recorded, replayed and shrunk like all others.

    Args:
        options: what there is to choose from, one at least. First comes what is ordinary:
            the plain schedule takes it, and so does a program in which nothing is explored.

    Returns:
        One of the options.

    Raises:
        ValueError: there are no options.
    """
    if not options:
        raise ValueError("choose() needs one option at least")
    controller = current()
    return options[0 if controller is None else controller.choose(len(options))]


def always(check: Callable[[], object], name: str | None = None) -> None:
    """Check something after every step of this schedule, from now on.

    Args:
        check: raises, or returns ``False``, if what should hold does not hold. It must
            not change anything. Called by no task, so it can not await.
        name: what should hold, in words; by default the name of the function.

    Raises:
        RuntimeError: no exploration runs.
    """
    controller = current()
    if controller is None:
        raise RuntimeError("always() works in an exploration only: there, each step is seen")
    what = name or getattr(check, "__name__", "what should always hold")

    def invariant() -> None:
        if check() is False:
            raise AssertionError(f"{what}: does not hold")

    controller.watch(invariant)


@contextlib.contextmanager
def cancellable() -> Iterator[trio.CancelScope]:
    """Mark what may be cancelled at any moment.

    In ``explore(..., cancel=True)``, to cancel the body is a choice at every decision as
    long as the body runs. Elsewhere, this is a cancel scope and nothing more.

    Yields:
        The scope, whose ``cancelled_caught`` says afterwards whether it was cancelled.
    """
    controller = current()
    with trio.CancelScope() as scope:
        if controller is None or not controller.cancel:
            yield scope
            return
        gated = controller.live.get(trio.lowlevel.current_task())
        choice = Cancellable(controller, scope, "main" if gated is None else gated.key)
        controller.cancellables.append(choice)
        try:
            yield scope
        finally:
            # It is gone if it was chosen.
            with contextlib.suppress(ValueError):
                controller.cancellables.remove(choice)


async def external(
    wait: Callable[[], Awaitable[T]], *, what: str = "completion", cancellable: bool = True
) -> T:
    """Await something outside of Trio: a process, a thread, a descriptor.

    In an exploration, nobody can say when it completes, but when it is delivered to the
    waiting task is a decision, which is recorded and replayed. What is delivered is not:
    a replay that gets something else fails as ``Diverged``. Elsewhere, this is a plain
    wait.

    Args:
        wait: an async function without arguments; it runs in a task of its own, which no
            schedule controls.
        what: what is awaited, in words.
        cancellable: whether cancellation of the caller ends the wait. Otherwise the
            caller waits for it, as one waits for a thread.

    Returns:
        What the wait returns.

    Raises:
        BaseException: what the wait raises.
    """
    controller = current()
    if controller is None:
        return await wait()
    result: T = await controller.inbox.carry(what, wait, cancellable=cancellable)
    return result

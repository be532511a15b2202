"""What a scenario may ask of the exploration that it runs in.

Outside of an exploration, ``choose()``, ``cancellable()`` and ``external()`` do the plain
thing, so that code that calls them also runs in a program. ``always()`` is refused there.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

import trio

from .options import Cancellable
from .running import current_controller

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

T = TypeVar("T")


def choose(options: Sequence[T]) -> T:
    """Let the schedule decide something other than which task goes next.

    Use it for what a fake does: whether a call fails, in which order things come, how long
    they take. The decision is recorded, replayed and shrunk like all others.

    Args:
        options: what there is to choose from, at least one. Put the ordinary option first:
            the plain schedule takes it, and so does a program outside of an exploration.

    Returns:
        One of the options.

    Raises:
        ValueError: there are no options.
    """
    if not options:
        raise ValueError("choose() needs at least one option")
    controller = current_controller()
    return options[0 if controller is None else controller.choose(len(options))]


def always(check: Callable[[], object], name: str | None = None) -> None:
    """Check something after every step of this schedule, from now on.

    Args:
        check: raises, or returns ``False``, if what should hold does not hold. It must
            not change anything. No task calls it, so it cannot await.
        name: what should hold, in words; by default the name of the function.

    Raises:
        RuntimeError: no exploration runs.
    """
    controller = current_controller()
    if controller is None:
        raise RuntimeError("always() works in an exploration only: call it in explore()")
    what = name or getattr(check, "__name__", "what should always hold")

    def invariant() -> None:
        if check() is False:
            raise AssertionError(f"{what}: does not hold")

    controller.watch(invariant)


@contextlib.contextmanager
def cancellable() -> Iterator[trio.CancelScope]:
    """Mark code that may be cancelled at any moment.

    In ``explore(..., cancel=True)``, each decision may cancel the body as long as the body
    runs. Elsewhere, this is a cancel scope and nothing more.

    Yields:
        The scope, whose ``cancelled_caught`` says afterwards whether it was cancelled.
    """
    controller = current_controller()
    with trio.CancelScope() as scope:
        if controller is None or not controller.cancel:
            yield scope
            return
        key = controller.key_of(trio.lowlevel.current_task()) or "main"
        option = Cancellable(scope, key, controller.cancellables)
        controller.cancellables.append(option)
        try:
            yield scope
        finally:
            # An option that was chosen has removed itself.
            with contextlib.suppress(ValueError):
                controller.cancellables.remove(option)


async def external(
    wait: Callable[[], Awaitable[T]], *, what: str = "completion", cancellable: bool = True
) -> T:
    """Await something outside of Trio: a process, a thread, a descriptor.

    In an exploration, no schedule decides when it completes. But a decision, which is
    recorded and replayed, says when the result is delivered to the waiting task. The result
    itself is not replayed: a replay that gets another one fails as ``Diverged``. Elsewhere,
    this is a plain wait.

    Args:
        wait: an async function without arguments; it runs in a task of its own, which no
            schedule controls.
        what: what is awaited, in words.
        cancellable: whether cancellation of the caller ends the wait. Otherwise the caller
            goes on waiting, as Trio does for a thread.

    Returns:
        What the wait returns.

    Raises:
        BaseException: what the wait raises.
    """
    controller = current_controller()
    if controller is None:
        return await wait()
    result: T = await controller.external_waits.wait_for(what, wait, cancellable=cancellable)
    return result

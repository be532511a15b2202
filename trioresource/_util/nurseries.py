"""Nurseries around a block: errors that come out bare, and tasks that outlive a cancellation."""

from __future__ import annotations

import operator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

T = TypeVar("T")


@asynccontextmanager
async def ungrouped(manager: AbstractAsyncContextManager[T]) -> AsyncGenerator[T, None]:
    """Enter a context that holds nurseries, and raise the block's own error bare.

    A nursery would put it into a group. It stays in a group if other errors came with it.

    Args:
        manager: the context.
    """
    block_error: BaseException | None = None
    try:
        async with manager as value:
            try:
                yield value
            except BaseException as error:
                block_error = error
                raise
    except BaseExceptionGroup as group:
        if block_error is None or not _is_same(block_error, group):
            raise
    else:
        return
    raise block_error


def _is_same(error: BaseException, group: BaseException) -> bool:
    """Whether both hold the same errors; a nursery copies the groups that pass through it."""
    ours, theirs = _leaves(error), _leaves(group)
    return len(ours) == len(theirs) and all(map(operator.is_, ours, theirs))


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for child in error.exceptions for leaf in _leaves(child)]
    return [error]


@asynccontextmanager
async def open_shielded_nursery(name: str) -> AsyncGenerator[trio.Nursery, None]:
    """Open a nursery that is shielded from the cancellation of its surroundings.

    The body is cancelled as usual. A crash of a task in the nursery cancels the body.
    Leaving the body cancels what is still in the nursery.

    Args:
        name: the name of the task that holds the nursery, for task trees.
    """
    async with trio.open_nursery() as outer:
        nursery: trio.Nursery = await outer.start(_hold_open, outer, name=name)
        try:
            yield nursery
        finally:
            nursery.cancel_scope.cancel()


async def _hold_open(outer: trio.Nursery, *, task_status: trio.TaskStatus[trio.Nursery]) -> None:
    # Behind the shield it would not show that the opening was cancelled.
    await trio.lowlevel.checkpoint_if_cancelled()
    with trio.CancelScope(shield=True):
        async with trio.open_nursery() as nursery:
            task_status.started(nursery)
            try:
                await trio.sleep_forever()
            finally:
                # After a crash at once, and not when all the others have cleaned up.
                outer.cancel_scope.cancel()

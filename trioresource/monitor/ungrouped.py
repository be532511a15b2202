"""Errors of a block come out as they are, whatever nurseries stand around the block."""

from __future__ import annotations

import operator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

T = TypeVar("T")


@asynccontextmanager
async def ungrouped(manager: AbstractAsyncContextManager[T]) -> AsyncGenerator[T, None]:
    """Enter a context that holds nurseries, and keep that to ourselves.

    An error of the block is raised bare, unless other errors came with it.

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
    """Whether two hold the same errors; passing through a nursery copies groups."""
    ours, theirs = _leaves(error), _leaves(group)
    return len(ours) == len(theirs) and all(map(operator.is_, ours, theirs))


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in _leaves(one)]
    return [error]

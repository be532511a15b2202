"""Tell whether a function is async, as far as that can be known before it is called."""

from __future__ import annotations

import functools
import inspect
from types import FunctionType
from typing import Any


def is_async(fn: Any) -> bool | None:
    """Whether calling a function gives something to await; None where that cannot be told.

    It can be told of functions and methods, also within ``functools.partial``, below decorators
    that use ``functools.wraps``, and of objects whose class defines ``__call__``. A plain function
    counts as async if its annotation says that it returns an awaitable.

    Args:
        fn: anything that can be called.
    """
    plain = getattr(fn, "__func__", fn)
    if isinstance(plain, FunctionType) and plain.__code__.co_flags & inspect.CO_COROUTINE:
        # The usual case; all others take ten times as long, at each resource that is added.
        return True
    while True:
        if inspect.iscoroutinefunction(fn):
            return True
        if inspect.isasyncgenfunction(fn):
            return False
        if isinstance(fn, functools.partial):
            fn = fn.func
        elif hasattr(fn, "__wrapped__"):
            fn = fn.__wrapped__
        elif inspect.ismethod(fn):
            fn = fn.__func__
        elif inspect.isfunction(fn):
            return _says_awaitable(fn)
        elif inspect.isfunction(getattr(type(fn), "__call__", None)):  # noqa: B004
            fn = type(fn).__call__
        else:
            return None


def _says_awaitable(fn: Any) -> bool:
    returned = str(fn.__annotations__.get("return", ""))
    return "Awaitable" in returned or "Coroutine" in returned

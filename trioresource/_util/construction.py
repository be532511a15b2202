"""Classes that users are given objects of, and do not make themselves.

Trio does the same by its private class ``NoPublicConstructor``.
"""

from __future__ import annotations

from abc import ABCMeta
from typing import Any, TypeVar

T = TypeVar("T")


class NoPublicConstructor(ABCMeta):
    """Refuse to construct the class by calling it.

    Use it as a metaclass. The library itself makes the objects with ``construct()``, so that
    the arguments of ``__init__`` may change without breaking a user's program.
    """

    def __call__(cls, *args: object, **kwargs: object) -> None:
        raise TypeError(f"{cls.__module__}.{cls.__qualname__} has no public constructor")


def construct(cls: type[T], *args: Any, **kwargs: Any) -> T:
    """Make an object of a class that has no public constructor.

    Args:
        cls: the class.
        args: the arguments of its ``__init__``.
        kwargs: the keyword arguments of its ``__init__``.
    """
    made: T = type.__call__(cls, *args, **kwargs)
    return made

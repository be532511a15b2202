"""The checks as a test class for pytest."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, ClassVar

from .catalogue import CHECKS, read_skips
from .check import NotApplicable
from .suite import make_subject, run_check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from ..._handler import HandlerFactory, ResourceHandler
    from .check import Check
    from .subject import Subject


class HandlerConformance:
    """A test class that checks whether a handler keeps the contract of the lifecycle.

    Subclass it with a name that pytest collects, and set what to check. Pytest then shows
    each check as a test of its own:

    ```python
    class TestDatabase(HandlerConformance):
        handler = Database
        properties = {"dsn": "fake:"}
        skip = {"C22": "its jitter is drawn without a seed, on purpose"}
    ```

    The methods are not async, so that any configuration of pytest-trio runs them.
    """

    handler: ClassVar[HandlerFactory | None] = None
    """A handler class, or ``service(...)``."""
    properties: ClassVar[Mapping[str, Any]] = {}
    """Properties with which it can come online."""
    failing: ClassVar[Mapping[str, Any] | None] = None
    """Properties with which it cannot come online, for C5."""
    skip: ClassVar[Mapping[str, str]] = {}
    """Ids of checks to skip, each with the reason."""
    real: ClassVar[bool] = False
    """Whether the handler has real processes, threads or connections; see ``check_handler``."""
    schedules: ClassVar[int | None] = None
    """The number of schedules for each check; 40 by default, 3 if real."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        read_skips(cls.skip)

    def make(self) -> ResourceHandler[Any]:
        """Make a handler, anew for each schedule; by default that of ``handler``.

        Raises:
            TypeError: the class sets no ``handler``.
        """
        # From the class: a function taken from the instance would become a method.
        handler: HandlerFactory | None = getattr(type(self), "handler")  # noqa: B009
        if handler is None:
            raise TypeError(f"{type(self).__name__}: set handler = ..., or define make()")
        return handler()

    def surroundings(self) -> AbstractAsyncContextManager[object]:
        """Make what must be there before the handler, anew for each schedule."""
        return contextlib.nullcontext()

    kill: ClassVar[Callable[[Any, Any], object] | None] = None
    """Define ``def kill(self, value)`` to break what the resource stands for, as if from
    outside. By default, its processes are killed. ``value`` is what the resource provides, or
    ``None`` while it comes online. Return ``False`` if there is nothing to break."""


def _subject(test: HandlerConformance) -> Subject:
    return make_subject(
        test.make,
        properties=test.properties,
        failing=test.failing,
        real=test.real,
        schedules=test.schedules,
        surroundings=test.surroundings,
        kill=test.kill,
    )


def _method(check: Check) -> Callable[[HandlerConformance], None]:
    def test(self: HandlerConformance) -> None:
        # Imported here, so that the kit works without pytest.
        import pytest

        reason = read_skips(self.skip).get(check.id)
        if reason is not None:
            pytest.skip(f"{check.id}: {reason}")
        try:
            run_check(check, _subject(self))
        except NotApplicable as not_applicable:
            pytest.skip(f"{check.id} does not apply: {not_applicable}")

    test.__name__ = check.test_name
    test.__qualname__ = f"{HandlerConformance.__qualname__}.{check.test_name}"
    test.__doc__ = check.protects
    return test


for _check in CHECKS.values():
    setattr(HandlerConformance, _check.test_name, _method(_check))

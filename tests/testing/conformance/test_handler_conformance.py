"""The checks as a test class, used as an author would."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from trioresource.testing import HandlerConformance

from .good_handler import Good

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trioresource._handler import HandlerFactory


class TestGood(HandlerConformance):
    handler: ClassVar[HandlerFactory | None] = Good
    schedules: ClassVar[int | None] = 10
    skip: ClassVar[Mapping[str, str]] = {"C18": "measured elsewhere"}


def test_a_class_without_a_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="without a reason"):

        class _Wrong(HandlerConformance):
            skip: ClassVar[Mapping[str, str]] = {"C1": ""}


def test_each_check_is_a_test_of_its_own(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ntrio_mode = true\n")
    pytester.makepyfile(
        """
        import trio
        from trioresource import ResourceHandler
        from trioresource.testing import HandlerConformance

        class Swallows(ResourceHandler):
            async def online(self, scope):
                try:
                    await trio.sleep(1)
                except trio.Cancelled:
                    pass

        class TestSwallows(HandlerConformance):
            handler = Swallows
            schedules = 5
            skip = {"C01": "no time"}
        """
    )
    result = pytester.runpytest("-v", "-rs", "-p", "no:anyio")
    result.stdout.fnmatch_lines(
        [
            "*::TestSwallows::test_c01_open_then_close SKIPPED*",
            "*::TestSwallows::test_c13_cancelled_anywhere FAILED*",
            "*::TestSwallows::test_c15_killed_from_outside SKIPPED*",
            "*Cancelled must be let through*",
            "*replay: pytest *::test_c13_cancelled_anywhere --schedule=tr1-*",
            "SKIPPED *: C1: no time",
            "SKIPPED *: C15 does not apply: *",
        ]
    )

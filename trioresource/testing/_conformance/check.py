"""Define what a check is, and make checks of functions."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from .cases import Case
    from .subject import Subject

Body = Callable[["Subject", "Case"], Awaitable[None]]
Variants = Callable[["Subject"], tuple[str, ...]]


class NotApplicable(Exception):
    """The handler has nothing that this check could look at."""


@attrs.frozen(kw_only=True)
class Check:
    """One check of the contract."""

    id: str
    """``C1`` and so on."""
    name: str
    """What it does, as a Python name."""
    protects: str
    """The rule that it protects, in a sentence."""
    body: Body = attrs.field(repr=False)
    variants: Variants = attrs.field(repr=False)
    timers: bool = False
    """Whether deadlines may expire while tasks could run."""
    thorough: bool = False
    """Whether every schedule with one preemption is tried first."""
    once: bool = False
    """Whether one plain schedule is enough."""

    @property
    def test_name(self) -> str:
        """The name of its test method."""
        return f"test_c{int(self.id[1:]):02}_{self.name}"


def check(
    identifier: str,
    *variants: str,
    choose: Variants | None = None,
    timers: bool = False,
    thorough: bool = False,
    once: bool = False,
) -> Callable[[Body], Check]:
    """Make a check of an async function, whose docstring is the rule that it protects.

    Args:
        identifier: its id.
        variants: the variants of the check; each runs by itself.
        choose: returns the variants for a subject, instead of ``variants``.
        timers: whether deadlines may expire while tasks could run.
        thorough: whether every schedule with one preemption is tried first.
        once: whether one plain schedule is enough.
    """

    def decorate(body: Body) -> Check:
        assert body.__doc__ is not None
        return Check(
            id=identifier,
            name=body.__name__,
            protects=" ".join(inspect.cleandoc(body.__doc__).split()),
            body=body,
            variants=choose or (lambda _: variants or ("",)),
            timers=timers,
            thorough=thorough,
            once=once,
        )

    return decorate

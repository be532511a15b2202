"""Known concurrency bugs, each beside its fixed version.

A bug does not show in the plain schedule, and does in a few dozen others. The fixed version is
right in every schedule. So these programs show what a strategy finds, and that it raises no
false alarm.
"""

from __future__ import annotations

from . import acting, cancelling, deep, locking, timing, waiting
from .known_bug import KnownBug, Scenario
from .primitives import PRIMITIVES

__all__ = ["KNOWN_BUGS", "PRIMITIVES", "KnownBug", "Scenario"]

KNOWN_BUGS: tuple[KnownBug, ...] = (
    *waiting.BUGS,
    *locking.BUGS,
    *acting.BUGS,
    *cancelling.BUGS,
    *timing.BUGS,
    *deep.BUGS,
)

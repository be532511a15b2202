"""The zoo: concurrency bugs in captivity, each beside its mended twin.

A bug does not show in the plain schedule, and is found in a few dozen others. The twin is
right in every schedule. So the zoo says what a strategy finds, and that it raises no
false alarm.
"""

from __future__ import annotations

from . import acting, cancelling, deep, locking, timing, waiting
from .primitives import PRIMITIVES
from .specimen import Scenario, Specimen

__all__ = ["PRIMITIVES", "ZOO", "Scenario", "Specimen"]

ZOO: tuple[Specimen, ...] = (
    *waiting.SPECIMENS,
    *locking.SPECIMENS,
    *acting.SPECIMENS,
    *cancelling.SPECIMENS,
    *timing.SPECIMENS,
    *deep.SPECIMENS,
)

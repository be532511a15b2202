"""How much of the largest spaces of schedules the tests run.

``make test`` bounds them, to be done in a few minutes. ``make test-full`` also runs the tests
that are marked ``bounded`` with ``TRIORESOURCE_WHOLE_SPACES=1``, which lifts the bounds.
"""

from __future__ import annotations

import os
from typing import Final

WHOLE: Final = os.environ.get("TRIORESOURCE_WHOLE_SPACES") == "1"

PREEMPTIONS: Final = None if WHOLE else 2
"""How often a task of a race may be stopped where it could go on; ``None`` for any number.

Every schedule within the bound runs, and most races need one preemption or two.
"""

SEEDS: Final = 30 if WHOLE else 8
"""With how many seeds a strategy must find each bug of the zoo."""

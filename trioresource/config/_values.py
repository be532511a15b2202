"""Single values of a cluster file: names, durations, numbers.

Each function here converts one value, or raises ValueError with what would be right.
"""

from __future__ import annotations

import re
from typing import Any, Final

_DURATION: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|h)\s*")
# In milliseconds: dividing by 1000 gives the nearest float, multiplying by 0.001 does not.
_UNITS: Final = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}


def to_name(value: str) -> str:
    """Check the name of a resource, a group or the cluster."""
    if not value or not value.isprintable() or value != value.strip() or set("[]/") & set(value):
        raise ValueError(
            f"{shown(value)} cannot be a name; a name is not empty, has no control characters,"
            " brackets or slashes, and neither begins nor ends with a space"
        )
    return value


def to_number(value: Any) -> float:
    """Check that a value is a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number, not {shown(value)}")
    return value


def to_seconds(value: Any) -> float:
    """Convert a number of seconds, or a text such as ``"500 ms"`` or ``"6 h"``."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value)
        if match is not None:
            return float(match[1]) * _UNITS[match[2]] / 1000
    elif not isinstance(value, bool) and isinstance(value, int | float):
        return value
    raise ValueError(
        f"{shown(value)} is not a duration; write a number of seconds, or a number with"
        ' ms, s, min or h, such as "500 ms" or "15 min"'
    )


def to_bound(value: Any) -> float:
    """Convert a duration that is greater than 0."""
    seconds = to_seconds(value)
    if not seconds > 0:
        raise ValueError(f"must be greater than 0 seconds, not {shown(value)}")
    return seconds


def to_retry(value: Any) -> float | None:
    """Convert a duration, or ``"never"``, which is None."""
    if value == "never":
        return None
    try:
        return to_seconds(value)
    except ValueError as error:
        raise ValueError(f'{error}; or "never", to stay failed') from None


def shown(value: Any) -> str:
    """Show a value as the file spells it; of a table or an array only the kind."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, str | int | float) else str(value)

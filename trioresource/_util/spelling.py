"""Suggestions for names that were misspelt."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Suggest the known name that is closest to a wrong one.

    Upper and lower case count as the same, and so do dashes and underscores. The time
    grows with the number of known names.

    Args:
        wrong: the name that was given.
        known: the names that would have been right.

    Returns:
        The end of a sentence, ``; did you mean 'name'?``; empty if no name is close.
    """
    spelt = {_plain(name): name for name in known}
    closest = difflib.get_close_matches(_plain(wrong), spelt, n=1)
    return f"; did you mean {spelt[closest[0]]!r}?" if closest else ""


def suggest(wrong: str, known: Iterable[str]) -> str:
    """Suggest the known name that is closest to a wrong one, and list all of them.

    Args:
        wrong: the name that was given.
        known: the names that would have been right.

    Returns:
        The end of a sentence, for example ``; did you mean 'a'? known: a, b``.
    """
    names = list(known)
    return f"{did_you_mean(wrong, names) or ';'} known: {', '.join(names) or 'none'}"


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")

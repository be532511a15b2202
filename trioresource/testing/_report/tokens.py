"""Tokens: a schedule in a few letters.

A schedule is the list of its decisions, each an index into what could go next. Nearly all
are 0, which is what Trio without a kit would have done, so a token keeps the others only:
pairs of how many zeros come first, and the decision, as variable-length numbers.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["decode", "encode"]

_PREFIX: Final = "tr1-"
_MORE: Final = 0x80
_LONGEST: Final = 1_000_000
"""Decisions in a token; a damaged one must not ask for gigabytes."""


def encode(picks: Iterable[int]) -> str:
    """The token of a list of decisions.

    Args:
        picks: the decisions, each zero or more.

    Returns:
        The token; the same for lists that differ in zeros at their ends only.
    """
    out = bytearray()
    zeros = 0
    for pick in picks:
        if pick == 0:
            zeros += 1
            continue
        _append(out, zeros)
        _append(out, pick)
        zeros = 0
    return _PREFIX + base64.urlsafe_b64encode(bytes(out)).decode().rstrip("=")


def _append(out: bytearray, number: int) -> None:
    while number >= _MORE:
        out.append(number & 0x7F | _MORE)
        number >>= 7
    out.append(number)


def decode(token: str) -> list[int]:
    """The decisions in a token.

    Args:
        token: what ``encode`` made.

    Returns:
        The decisions, without zeros at the end.

    Raises:
        ValueError: it is not such a token.
    """
    numbers = _numbers(token)
    picks: list[int] = []
    for zeros, pick in zip(numbers[::2], numbers[1::2], strict=True):
        if pick == 0 or len(picks) + zeros > _LONGEST:
            raise _refused(token)
        picks += [0] * zeros
        picks.append(pick)
    return picks


def _numbers(token: str) -> Sequence[int]:
    text = token.removeprefix(_PREFIX)
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _refused(token) from None
    numbers, number, shift = [], 0, 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if not byte & _MORE:
            numbers.append(number)
            number = shift = 0
    if shift or len(numbers) % 2 or not token.startswith(_PREFIX):
        raise _refused(token)
    return numbers


def _refused(token: str) -> ValueError:
    return ValueError(f"{token!r} is not a schedule: a token starts with {_PREFIX!r} and is whole")

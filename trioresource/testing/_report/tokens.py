"""Write a schedule as a token, a few letters long, and read it again.

A schedule is the list of its decisions, each an index into what could go next. Nearly all
are 0: what has waited longest. So a token keeps only the others. It is a list of pairs: how
many zeros come before, and the decision, both as numbers of variable length.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PREFIX: Final = "tr1-"
_MORE: Final = 0x80
_LONGEST: Final = 1_000_000
"""Decisions in a token; a damaged token must not ask for gigabytes of memory."""


def encode(picks: Iterable[int]) -> str:
    """Write a list of decisions as a token.

    Args:
        picks: the decisions, each 0 or more.

    Returns:
        The token. Lists that differ only in zeros at their ends have the same token.
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
    """Read the decisions from a token.

    Args:
        token: what ``encode`` returned.

    Returns:
        The decisions, without zeros at the end.

    Raises:
        ValueError: the token is damaged, or is no token.
    """
    numbers = _numbers(token)
    picks: list[int] = []
    for zeros, pick in zip(numbers[::2], numbers[1::2], strict=True):
        if pick == 0 or len(picks) + zeros > _LONGEST:
            raise _refused(token)
        picks += [0] * zeros
        picks.append(pick)
    if encode(picks) != token:
        # Base64 has several texts for the same numbers; a changed letter must not go unnoticed.
        raise _refused(token)
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
    if shift or len(numbers) % 2:
        raise _refused(token)
    return numbers


def _refused(token: str) -> ValueError:
    return ValueError(f"{token!r} is not a schedule: a token starts with {_PREFIX!r} and is whole")

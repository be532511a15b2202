from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioresource.testing._report.tokens import decode, encode


def without_zeros_at_the_end(picks: list[int]) -> list[int]:
    while picks and picks[-1] == 0:
        picks = picks[:-1]
    return picks


@given(st.lists(st.integers(0, 300)))
def test_there_and_back(picks: list[int]) -> None:
    assert decode(encode(picks)) == without_zeros_at_the_end(picks)


def test_the_plain_schedule_is_the_shortest_token() -> None:
    assert encode([0, 0, 0]) == encode([]) == "tr1-"


def test_only_deviations_take_space() -> None:
    assert len(encode([0] * 1000 + [1])) <= len("tr1-") + 4


@pytest.mark.parametrize(
    "token",
    ["", "AAEBAQ", "tr1-!", "tr1-A", "tr2-AAEB", "tr1-AAEB==", "tr1-_w", "tr1-A0-", "tr1-A0+"],
)
def test_anything_else_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="is not a schedule: a token starts with 'tr1-'"):
        decode(token)


@given(st.binary(max_size=12))
def test_damage_never_does_worse_than_refuse(data: bytes) -> None:
    text = "tr1-" + data.decode("latin-1")
    try:
        picks = decode(text)
    except ValueError:
        return
    assert encode(picks) == text


def test_a_damaged_token_asks_for_no_memory() -> None:
    with pytest.raises(ValueError, match="is not a schedule"):
        decode(encode([0] * 10 + [1])[:4] + "________BwE")

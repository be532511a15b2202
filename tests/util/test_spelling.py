"""Suggestions for names that were misspelt."""

from __future__ import annotations

import pytest

from trioresource._util.spelling import did_you_mean, suggest

KNOWN = ["pool_size", "Speed", "fail-over"]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("poolsize", "pool_size"),
        ("pool-size", "pool_size"),
        ("SPEED", "Speed"),
        ("fail_over", "fail-over"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_the_closest_name_is_suggested(wrong: str, meant: str) -> None:
    question = f"; did you mean {meant!r}?" if meant else ""
    assert did_you_mean(wrong, KNOWN) == question
    assert suggest(wrong, iter(KNOWN)) == f"{question or ';'} known: pool_size, Speed, fail-over"


def test_without_known_names() -> None:
    assert did_you_mean("a", []) == ""
    assert suggest("a", []) == "; known: none"

from __future__ import annotations

import pytest

from trioresource._cli.formatting import age, duration, one_line


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "12.3 ms"), (1, "1.00 s"), (99.99, "99.99 s"), (4000, "4000 s")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (119.9, "119 s"), (120, "2 min"), (7200, "2 h"), (172800, "2 d")],
)
def test_age(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_one_line_obeys_nothing() -> None:
    assert one_line("a\n\n b\x1b[2J\r\nc\x00é") == "a |  b\\x1b[2J | c\\x00é"

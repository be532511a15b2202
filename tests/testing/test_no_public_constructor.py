from __future__ import annotations

import pytest

from trioresource._util.construction import NoPublicConstructor, construct


class Made(metaclass=NoPublicConstructor):
    def __init__(self, number: int, *, text: str = "") -> None:
        self.number = number
        self.text = text


def test_it_is_refused_to_users() -> None:
    with pytest.raises(TypeError, match=r"test_no_public_constructor\.Made has no public constr"):
        Made(1)


def test_the_library_makes_it() -> None:
    made = construct(Made, 1, text="one")
    assert (made.number, made.text) == (1, "one")

"""Check what users hand over, at the moment at which they hand it over.

Every check names the argument, says what is wrong with the value and what would be right. The
values are a user's: their ``__repr__`` may raise, so nothing but ``show`` puts them into a text.
"""

from __future__ import annotations

from math import inf
from numbers import Real
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    import enum

T = TypeVar("T")

LONGEST: Final = 1e12
"""Largest finite number of seconds, 30,000 years: more is a slip, and sums with it would
lose their fractions."""

# Characters of a value that an error shows at most.
_SHOWN: Final = 80


def show(value: object) -> str:
    """Show a value in an error or a report, whatever its ``__repr__`` does.

    Args:
        value: any object of a user's.
    """
    try:
        text = repr(value)
    except Exception as error:
        # A value is shown because something is wrong; that alone must be the error.
        return f"<{type(value).__name__}, whose __repr__ raised {type(error).__name__}>"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def check_text(argument: str, value: object) -> str:
    """Check that a value is a text, and return it as a plain ``str``.

    Raises:
        TypeError: it is not a ``str``.
    """
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a str, not {show(value)}")
    # Of a subclass, nothing is used but its characters.
    return str.__str__(value)


def check_name(kind: str, value: object) -> None:
    """Check that a name can be written in an expression of dependencies, and in a log.

    Args:
        kind: what is named, for the error: "resource" or "group".
        value: the name.

    Raises:
        TypeError: it is not a ``str``.
        ValueError: it is a text that cannot be a name.
    """
    if not isinstance(value, str):
        raise TypeError(f"the name of a {kind} must be a str, not {show(value)}")
    if (
        not value
        or not value.isprintable()
        or value != value.strip()
        or "[" in value
        or "]" in value
    ):
        raise ValueError(
            f"{show(value)} cannot be the name of a {kind}; a name is not empty, has no brackets"
            " or control characters, and neither begins nor ends with a space"
        )


def check_seconds(argument: str, value: Any, *, is_finite: bool = False) -> float:
    """Check a number of seconds of at least 0.

    Args:
        argument: the name of the argument.
        value: its value.
        is_finite: whether infinity is refused.

    Raises:
        ValueError: it is not a number, or out of bounds.
    """
    if not _is_number(value):
        raise ValueError(f"{argument} must be a number of at least 0, not {show(value)}")
    # Written so that nan is never in bounds.
    if not value >= 0:
        raise ValueError(f"{argument} must be at least 0, not {show(value)}")
    if value > LONGEST and (is_finite or value != inf):
        most = f"at most {LONGEST:g}" if is_finite else f"at most {LONGEST:g}, or infinite"
        raise ValueError(f"{argument} must be {most}, not {show(value)}")
    return float(value)


def check_count(argument: str, value: Any, *, least: int, is_inf_allowed: bool = False) -> None:
    """Check a whole number.

    Args:
        argument: the name of the argument.
        value: its value.
        least: the smallest number that is right.
        is_inf_allowed: whether infinity is right as well.

    Raises:
        ValueError: it is not a whole number, or too small.
    """
    if is_inf_allowed and isinstance(value, float) and value == inf:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        allowed = f"a whole number of at least {least}" + (", or inf" if is_inf_allowed else "")
        raise ValueError(f"{argument} must be {allowed}, not {show(value)}")
    if value < least:
        raise ValueError(f"{argument} must be at least {least}, not {show(value)}")


def check_fraction(argument: str, value: Any) -> float | None:
    """Check a part of a whole, from 0 to 1, and return it as a plain ``float``.

    Raises:
        TypeError: it is neither a number nor None.
        ValueError: it is nan, or not between 0 and 1.
    """
    if value is None:
        return None
    if not _is_number(value):
        raise TypeError(f"{argument} must be a number from 0 to 1, or None, not {show(value)}")
    if not 0 <= value <= 1:
        raise ValueError(f"{argument} must be from 0 to 1, not {show(value)}")
    return float(value)


def check_members(argument: str, values: tuple[object, ...], kind: type[enum.Enum]) -> None:
    """Check that there are values, and that all of them are members of an enumeration.

    Raises:
        ValueError: there are none.
        TypeError: a value is not a member.
    """
    example = f"{kind.__name__}.{next(iter(kind)).name}"
    if not values:
        raise ValueError(f"{argument} needs at least one {kind.__name__}, such as {example}")
    for value in values:
        if not isinstance(value, kind):
            raise TypeError(
                f"{argument} takes members of {kind.__name__}, such as {example}, not {show(value)}"
            )


def check_instance(argument: str, value: object, kind: type, *, hint: str = "") -> None:
    """Check that a value is None or an instance of a class.

    Args:
        argument: the name of the argument.
        value: its value.
        kind: the class.
        hint: what would be right, if the name of the class does not say it.

    Raises:
        TypeError: it is something else.
    """
    if value is not None and not isinstance(value, kind):
        raise TypeError(
            f"{argument} must be {hint or f'of class {kind.__name__}'}, not {show(value)}"
        )


def refuse_keywords(call: str, keywords: dict[str, Any]) -> None:
    """Refuse keyword arguments that are meant for a function that is passed on.

    Args:
        call: what was called, for the error.
        keywords: the keyword arguments that it does not have itself.

    Raises:
        TypeError: there are any.
    """
    if keywords:
        given = ", ".join(f"{name}=..." for name in keywords)
        raise TypeError(
            f"{call} passes on positional arguments only; for {given} use"
            f" functools.partial(fn, {given})"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)

"""Environment variables in the properties of a cluster file.

A table with the one key ``from_env`` stands for the value of that variable, so that
secrets stay out of the file; they stay out of the reports about it as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._positions import TomlPath

FROM_ENVIRONMENT: Final = "from_env"
"""The one key of a table that stands for an environment variable."""


@final
class Substitution:
    """Puts the values of environment variables into properties.

    Args:
        environment: the variables there are.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._values: dict[TomlPath, tuple[str, str]] = {}
        self.mistakes: dict[TomlPath, str] = {}
        """Where no value could be put in, and why."""

    def apply(self, value: Any, place: TomlPath) -> Any:
        """The value with variables put in, and with ``""`` where that is not possible.

        Args:
            value: what the file says: tables, arrays and everything else.
            place: where in the properties it is.
        """
        if isinstance(value, list):
            return [self.apply(inner, (*place, index)) for index, inner in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if list(value) != [FROM_ENVIRONMENT]:
            return {key: self.apply(inner, (*place, key)) for key, inner in value.items()}
        name = value[FROM_ENVIRONMENT]
        if not isinstance(name, str):
            self.mistakes[place] = f"from_env must name an environment variable, not {shown(name)}"
        elif name not in self._environment:
            self.mistakes[place] = (
                f"the environment variable {name} is not set; set it, or write the value here"
            )
        else:
            self._values[place] = (name, self._environment[name])
            return self._environment[name]
        return ""

    def is_open(self, place: TomlPath) -> bool:
        """Whether a value is missing there, around it or within it."""
        return any(_overlap(place, other) for other in self.mistakes)

    def conceal(self, text: str, place: TomlPath) -> str:
        """The text with the names of variables in place of the values they gave.

        Args:
            text: a sentence about what is at ``place``.
            place: where in the properties.
        """
        for other, (name, value) in self._values.items():
            if value and _overlap(place, other):
                text = text.replace(value, f"${name}")
        return text


def _overlap(one: TomlPath, other: TomlPath) -> bool:
    """Whether they are the same place, or one lies within the other."""
    return all(part == other_part for part, other_part in zip(one, other, strict=False))


def shown(value: Any) -> str:
    """Show a value as the file spells it; of a table or an array only the kind."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, str | int | float) else str(value)

"""Environment variables in the properties of a cluster file.

A table whose only key is ``from_env`` stands for the value of that variable. So secrets stay
out of the file; messages about the file show the name of the variable instead of its value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from ._positions import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._positions import TomlPath

FROM_ENVIRONMENT: Final = "from_env"
"""The only key of a table that stands for an environment variable."""


@final
class Substitution:
    """Puts the values of environment variables into the properties of one resource.

    Args:
        environment: the variables by name.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._values: dict[TomlPath, tuple[str, str]] = {}
        self.mistakes: dict[TomlPath, str] = {}
        """Why a variable has no value, by the place in the properties."""

    def apply(self, value: Any, place: TomlPath) -> Any:
        """Replace the variables in a value, however deep.

        Args:
            value: a value of the file: a table, an array or anything else.
            place: where it is in the properties.

        Returns:
            A copy of the value with the variables replaced; ``""`` stands for a variable
            that has no value, which is then one of the mistakes.
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
        """Tell whether a variable without a value is at a place, around it or within it."""
        return any(_overlap(place, other) for other in self.mistakes)

    def conceal(self, text: str, place: TomlPath) -> str:
        """Replace the values of variables in a message by their names.

        Args:
            text: a message about the value at ``place``.
            place: a place in the properties.
        """
        for other, (name, value) in self._values.items():
            if value and _overlap(place, other):
                text = text.replace(value, f"${name}")
        return text


def _overlap(first: TomlPath, second: TomlPath) -> bool:
    """Tell whether two places are the same, or one lies within the other."""
    return all(part == other for part, other in zip(first, second, strict=False))

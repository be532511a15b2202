"""A table of the cluster file, read key by key; every mistake is noted with its place."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

import attrs

from .._model.policy import Backoff, Deadlines, FailoverPolicy, PollIntervals, RestartPolicy

if TYPE_CHECKING:
    import enum
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ._positions import TomlDocument, TomlPath

T = TypeVar("T")
PolicyT = TypeVar("PolicyT", Backoff, Deadlines, FailoverPolicy, PollIntervals, RestartPolicy)
EnumT = TypeVar("EnumT", bound="enum.Enum")

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_DURATION: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|h)\s*")
# In milliseconds: dividing by 1000 gives the nearest float, multiplying by 0.001 does not.
_UNITS: Final = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}
_UNSET: Final = object()


@final
class Mistakes:
    """The mistakes of one file, in the order in which they stand in it.

    Args:
        file: the name of the file, as people should see it.
        document: what is in it.
    """

    def __init__(self, file: str, document: TomlDocument) -> None:
        self._file = file
        self._document = document
        self._found: list[tuple[int, str]] = []

    def add(self, path: TomlPath, text: str, *, table: int) -> None:
        """Note a mistake.

        Args:
            path: where it is.
            text: what is wrong, and what would be right.
            table: how many parts of the path name the table; the rest is the key.
        """
        line = self.line(path)
        text = " ".join(text.splitlines())  # Some errors of other people have several lines.
        where = [f"[{_dotted(path[:table])}]"] if table else []
        if path[table:]:
            where.append(_dotted(path[table:]))
        self._found.append((line, f"{self._file}:{line}: {' '.join(where)}: {text}"))

    def line(self, path: TomlPath) -> int:
        """The line of something in the file, counted from 1."""
        return self._document.line(path)

    def lines(self) -> list[str]:
        """One line for each mistake, those of the first lines of the file first."""
        return [text for _, text in sorted(self._found, key=lambda found: found[0])]


@final
class Table:
    """One table of the file.

    Whoever reads it asks for every key it may have, and then for ``refuse_others()``.

    Args:
        values: what is in the table.
        path: where the table is.
        mistakes: where mistakes go.
        named_by: how many parts of the path name the table in mistakes; by default
            all. For an inline table this is the table around it.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        path: TomlPath,
        mistakes: Mistakes,
        *,
        named_by: int | None = None,
    ) -> None:
        self.values: Mapping[str, Any] = values
        self.path: TomlPath = path
        self.is_wrong: bool = False
        """Whether something else than a table stands in its place."""
        self._mistakes = mistakes
        self._named_by = len(path) if named_by is None else named_by
        self._known: list[str] = []

    def mistake(self, text: str, *keys: str | int) -> None:
        """Note a mistake in this table.

        Args:
            text: what is wrong, and what would be right.
            keys: the way from this table to where it is.
        """
        self._mistakes.add((*self.path, *keys), text, table=self._named_by)

    def line(self, *keys: str | int) -> int:
        """The line of something in this table, counted from 1."""
        return self._mistakes.line((*self.path, *keys))

    def get(self, key: str, convert: Callable[[Any], T], default: T) -> T:
        """The value of a key.

        Args:
            key: the key.
            convert: makes the value from what the file says, or raises ValueError.
            default: the value where the key is missing or wrong.
        """
        self._known.append(key)
        value = self.values.get(key, _UNSET)
        if value is _UNSET:
            return default
        try:
            return convert(value)
        except ValueError as error:
            self.mistake(str(error), key)
            return default

    def table(self, key: str) -> Table | None:
        """The table within this one, or None where it is missing or no table.

        Mistakes in it are reported as mistakes of this table's ``key.…``.
        """
        values = self.get(key, as_table, None)
        if values is None:
            return None
        return Table(values, (*self.path, key), self._mistakes, named_by=self._named_by)

    def section(self, key: str) -> Table:
        """The table ``[….key]``, empty where it is missing or no table (``is_wrong``)."""
        values = self.get(key, as_table, None)
        section = Table(values or {}, (*self.path, key), self._mistakes)
        section.is_wrong = values is None and key in self.values
        return section

    def tables(self, key: str) -> Iterator[tuple[str, Table]]:
        """The tables ``[….key.NAME]`` by name, in the order of the file."""
        parent = self.section(key)
        for name in parent.values:
            values = parent.get(name, as_table, None)
            if values is not None:
                yield name, Table(values, (*parent.path, name), self._mistakes)

    def policy(self, initial: PolicyT, readers: Mapping[str, Callable[[Any], object]]) -> PolicyT:
        """A policy with what this table sets in place of its own values.

        Every key that is neither a field of the policy nor known already is a mistake.

        Args:
            initial: the policy to start with.
            readers: the fields that may be set, each with what converts its value.
        """
        policy = initial
        for key, convert in readers.items():
            value: Any = self.get(key, convert, _UNSET)
            if value is _UNSET:
                continue
            try:
                policy = attrs.evolve(policy, **{key: value})
            except ValueError as error:
                self.mistake(str(error).removeprefix(f"{key} "), key)
        self.refuse_others()
        return policy

    def refuse_others(self) -> None:
        """Note every key as a mistake that nobody has asked for."""
        for key in self.values:
            if key not in self._known:
                self.mistake(f"not known{did_you_mean(key, self._known)}", key)


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """The end of a sentence that names what is known, and the closest of it.

    Args:
        wrong: what was given.
        known: what would have been right.
    """
    known = list(known)
    closest = difflib.get_close_matches(wrong, known, n=1)
    question = f"; did you mean {closest[0]!r}?" if closest else ""
    return f"{question or ';'} known: {', '.join(known) or 'none'}"


def as_text(value: Any) -> str:
    """Any string."""
    if not isinstance(value, str):
        raise ValueError(f"must be a string, not {shown(value)}")
    return value


def as_flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {shown(value)}")
    return value


def as_given(value: Any) -> Any:
    """Anything; the policy that it goes into judges it."""
    return value


def as_name(value: Any) -> str:
    """The name of a resource, a group or the cluster."""
    name = as_text(value)
    if not name or not name.isprintable() or name != name.strip() or set("[]/") & set(name):
        raise ValueError(
            f"{shown(name)} can not be a name; a name is not empty, has no control characters,"
            " brackets or slashes, and neither begins nor ends with a space"
        )
    return name


def as_number(value: Any) -> float:
    """A number; its bounds are those of the policy it goes into."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number, not {shown(value)}")
    return value


def as_seconds(value: Any) -> float:
    """A duration: a number of seconds, or a text such as ``"500 ms"`` or ``"6 h"``."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value)
        if match is not None:
            return float(match[1]) * _UNITS[match[2]] / 1000
    elif not isinstance(value, bool) and isinstance(value, int | float):
        return value
    raise ValueError(
        f"{shown(value)} is not a duration; write a number of seconds, or a number with"
        ' ms, s, min or h, such as "500 ms" or "15 min"'
    )


def as_table(value: Any) -> dict[str, Any]:
    """A table, inline or with a header of its own."""
    if not isinstance(value, dict):
        raise ValueError(f"must be a table, not {shown(value)}")
    return value


def one_of(choices: type[EnumT]) -> Callable[[Any], EnumT]:
    """What converts a string to the member of an enumeration that has it as its value."""

    def convert(value: Any) -> EnumT:
        known = [member.value for member in choices]
        if value not in known:
            raise ValueError(f"{shown(value)} is not known{did_you_mean(str(value), known)}")
        return choices(value)

    return convert


def shown(value: Any) -> str:
    """A value as the file spells it, as far as that helps; tables and arrays by their kind."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, str | int | float) else str(value)


def _dotted(path: TomlPath) -> str:
    return ".".join(
        part if isinstance(part, str) and _BARE_KEY.fullmatch(part) else repr(part) for part in path
    )

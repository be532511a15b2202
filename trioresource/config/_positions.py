"""TOML with the line of every key, so that each mistake can be reported with its place.

The parser of the standard library does not keep lines. So it parses the text first; then
the text is scanned once more for the lines of tables, keys and array elements. The scanner
is small because it only sees valid TOML. It also accepts what TOML 1.1 adds (line breaks
within inline tables), since the parsers of newer interpreters do.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, Final, final

import attrs

TomlPath = tuple[str | int, ...]
"""Where a value is: keys of tables and indices of arrays, from the outermost inwards."""

_POSITION: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_KEY_PART: Final = re.compile(
    r"""[ \t]*(?: (?P<bare>[A-Za-z0-9_-]+) | (?P<quoted>"(?:\\.|[^"\\])*"|'[^']*') )[ \t]*""",
    re.VERBOSE,
)
# A multi-line string may end in up to two more quotes than the three that close it.
_SCALAR: Final = re.compile(
    r'''
      """ (?:\\[\s\S]|[^\\])*? """ "{0,2}
    | \'\'\' [\s\S]*? \'\'\' '{0,2}
    | " (?:\\.|[^"\\])* "
    | ' [^']* '
    | [^,\]}\#\n]+
    ''',
    re.VERBOSE,
)


class TomlSyntaxError(ValueError):
    """The text is not TOML.

    Attributes:
        line: the line, counted from 1; None if the parser does not tell it.
        column: the column, counted from 1; None if the parser does not tell it.
    """

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.line: int | None = line
        self.column: int | None = column


@final
@attrs.frozen
class TomlDocument:
    """The values of a TOML document, with the line of each."""

    values: dict[str, Any]
    lines: Mapping[TomlPath, int] = attrs.field(repr=False)

    def line(self, path: TomlPath) -> int:
        """Find the line of a key or array element.

        Args:
            path: the place of the key or element.

        Returns:
            The line, counted from 1. If the document has nothing in this place, the line of
            the nearest table around it.
        """
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[:-1]
        return 1


def read_toml(text: str) -> TomlDocument:
    """Parse a TOML document and note the line of everything in it.

    Args:
        text: the document.

    Raises:
        TomlSyntaxError: the text is not TOML.
    """
    text = text.replace("\r\n", "\n")
    try:
        values = tomllib.loads(text)
        return TomlDocument(values, _Scanner(text).lines)
    except RecursionError:
        raise TomlSyntaxError("arrays and inline tables are nested too deeply") from None
    except ValueError as error:
        # Not only TOMLDecodeError: a number of thousands of digits raises a plain ValueError.
        raise _syntax_error(str(error), text) from None


def shown(value: Any) -> str:
    """Show a value as TOML spells it; of a table or an array only the kind."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, str | int | float) else str(value)


def _syntax_error(message: str, text: str) -> TomlSyntaxError:
    position = _POSITION.search(message)
    if position is None:
        return TomlSyntaxError(message)
    message = message[: position.start()]
    if position[1] is None:
        lines = text.removesuffix("\n").split("\n")
        return TomlSyntaxError(message, len(lines), len(lines[-1]) + 1)
    return TomlSyntaxError(message, int(position[1]), int(position[2]))


@final
class _Scanner:
    """Finds the lines of everything in a text that is valid TOML, in one pass."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line_ends = [match.start() for match in re.finditer("\n", text)]
        self._array_lengths: dict[TomlPath, int] = {}
        self.lines: dict[TomlPath, int] = {}
        self._document()

    def _line(self) -> int:
        return bisect_right(self._line_ends, self._at) + 1

    def _skip(self, pattern: re.Pattern[str]) -> str:
        """Move past what the pattern matches; return the next two characters."""
        match = pattern.match(self._text, self._at)
        assert match is not None
        self._at = match.end()
        return self._text[self._at : self._at + 2]

    def _document(self) -> None:
        table: TomlPath = ()
        while following := self._skip(_BLANK):
            if following[0] == "[":
                table = self._header(in_array=following == "[[")
            else:
                self._pair(table)

    def _header(self, *, in_array: bool) -> TomlPath:
        brackets = 2 if in_array else 1
        line = self._line()
        self._at += brackets
        *parents, last = self._key()
        self._at += brackets
        path: TomlPath = ()
        for part in parents:
            path = self._last_element((*path, part))
            self.lines.setdefault(path, line)
        path = (*path, last)
        if in_array:
            self.lines.setdefault(path, line)
            self._array_lengths[path] = self._array_lengths.get(path, 0) + 1
            path = self._last_element(path)
        # The header of a table replaces the line that a table within it may have set.
        self.lines[path] = line
        return path

    def _last_element(self, path: TomlPath) -> TomlPath:
        length = self._array_lengths.get(path)
        return path if length is None else (*path, length - 1)

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            match = _KEY_PART.match(self._text, self._at)
            assert match is not None
            self._at = match.end()
            quoted = match["quoted"]
            part = match["bare"] if quoted is None else tomllib.loads(f"key = {quoted}")["key"]
            parts.append(part)
            if self._text[self._at] != ".":
                return parts
            self._at += 1

    def _pair(self, path: TomlPath) -> None:
        line = self._line()
        for part in self._key():
            path = (*path, part)
            self.lines.setdefault(path, line)
        self._at += 1
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: TomlPath) -> None:
        opening = self._text[self._at]
        if opening not in "[{":
            self._skip(_SCALAR)
            return
        self._at += 1
        closing = "]" if opening == "[" else "}"
        index = 0
        while self._skip(_BLANK)[0] != closing:
            if opening == "[":
                element = (*path, index)
                self.lines[element] = self._line()
                self._value(element)
                index += 1
            else:
                self._pair(path)
            if self._skip(_BLANK)[0] == ",":
                self._at += 1
        self._at += 1

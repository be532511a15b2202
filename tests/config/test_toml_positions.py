"""The line of every key and element of a TOML document."""

from __future__ import annotations

import tomllib
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trioresource.config._positions import TomlPath, TomlSyntaxError, read_toml


def line_of(text: str, *path: str | int) -> int:
    return read_toml(dedent(text).lstrip("\n")).line(path)


def test_plain_tables_and_keys() -> None:
    text = """
        top = 1
        [a]
        x = 1  # comment = 2

        # [b]
        [ c . "d e" ]
        'f g' = 2
    """
    assert line_of(text, "top") == 1
    assert line_of(text, "a") == 2
    assert line_of(text, "a", "x") == 3
    assert line_of(text, "c") == line_of(text, "c", "d e") == 6
    assert line_of(text, "c", "d e", "f g") == 7


def test_what_is_not_written_has_the_line_of_what_is_around_it() -> None:
    text = "# a comment\n[a]\nx = 1\n"
    assert line_of(text, "a", "missing", "deeper") == 2
    assert line_of(text, "missing") == 1
    assert line_of("") == 1


def test_own_header_counts_even_after_that_of_an_inner_table() -> None:
    text = "[a.b]\nx = 1\n[a]\ny = 2\n"
    assert line_of(text, "a") == 3
    assert line_of(text, "a", "b") == 1


def test_out_of_order_tables() -> None:
    text = "[r.db]\nx = 1\n[g]\ny = 1\n[r.db.p]\nz = 1\n[r.web]\nq = 1\n"
    assert line_of(text, "r") == line_of(text, "r", "db") == 1
    assert line_of(text, "r", "db", "p", "z") == 6
    assert line_of(text, "r", "web", "q") == 8


def test_dotted_and_quoted_keys() -> None:
    text = """
        a.b . "c.d" = 1
        a.b.'#"' = 2
        "\\u0041\\"=" = 3
        "" = 4
        s = { '' = 5 }
        3.14 = 6
    """
    assert line_of(text, "a", "b") == 1
    assert line_of(text, "a", "b", "c.d") == 1
    assert line_of(text, "a", "b", '#"') == 2
    assert line_of(text, 'A"=') == 3
    assert line_of(text, "") == 4
    assert line_of(text, "s", "") == 5
    assert line_of(text, "3", "14") == 6


def test_strings_that_look_like_keys() -> None:
    text = '''
        basic = "]} # = [x] \\\\"
        multi = """
        fake = 1
        [fake]
        \\""" still "" inside """""
        literal = \'\'\'
        fake = 2 \\\'\'\'\'\'
        empty = """"""
        empty_too = \'\'\'\'\'\'
        short = [ \'\', "" ]
        last = \'C:\\\'
        end = 1
    '''
    document = read_toml(dedent(text).lstrip("\n"))
    assert "fake" not in document.values
    assert {key: document.line((key,)) for key in document.values} == {
        "basic": 1,
        "multi": 2,
        "literal": 6,
        "empty": 8,
        "empty_too": 9,
        "short": 10,
        "last": 11,
        "end": 12,
    }


def test_arrays_over_several_lines() -> None:
    text = """
        a = [ # first
          1, [2,
          3], # ]
          { x = 1, y = [4, {z = 5}] },
          "]",
        ]
        b = 1979-05-27 07:32:00  # with a space
        c = []
        d = {}
    """
    assert line_of(text, "a") == 1
    assert line_of(text, "a", 0) == 2
    assert line_of(text, "a", 1, 0) == 2
    assert line_of(text, "a", 1, 1) == 3
    assert line_of(text, "a", 2, "y", 1, "z") == 4
    assert line_of(text, "a", 3) == 5
    assert [line_of(text, key) for key in "bcd"] == [7, 8, 9]


def test_arrays_of_tables() -> None:
    text = """
        [[a]]
        x = 1
        [a.b]
        y = 1
        [[a.c]]
        z = 1
        [[a.c]]
        z = 2
        [[ a ]]
        x = 2
        [[a.c]]
        z = 3
        [a.c.d]
        w = 1
    """
    assert line_of(text, "a") == line_of(text, "a", 0) == 1
    assert line_of(text, "a", 0, "b", "y") == 4
    assert line_of(text, "a", 0, "c", 1, "z") == 8
    assert line_of(text, "a", 1) == 9
    assert line_of(text, "a", 1, "c", 0, "z") == 12
    assert line_of(text, "a", 1, "c", 0, "d", "w") == 14


def test_line_ends_of_windows() -> None:
    assert line_of('a = 1\r\n[b]\r\nc = """\r\n"""\r\nd = 2\r\n', "b", "d") == 5


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a = 1\na = 2\n", 2, 6),
        ("[a]\nx = 1\n[a]\n", 3, 3),
        ("a =\n", 1, 4),
        ("a = 1 2\n", 1, 7),
        ('a = "x\n', 1, 7),
        ("a = 1\nb = [1,\n2\n", 3, 2),
        ("a = 1\nb = [", 2, 6),
        ("a = " + "9" * 5000, None, None),
        ("a = " + "[" * 100_000, None, None),
    ],
)
def test_syntax_errors_have_a_place(text: str, line: int | None, column: int | None) -> None:
    with pytest.raises(TomlSyntaxError) as caught:
        read_toml(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert "at line" not in str(caught.value)
    assert str(caught.value)


# Documents are built from pieces whose every value is a marker of its own, so that the
# line of each value can be found by searching the text for its marker.

SCALARS = st.sampled_from(
    ['"{}"', "'{}'", '"""\\\n\n  {}"""', '"] \\" # {}"', "'''\n\n}}] = {}'''", '"""{}"" """']
)
SPACE = st.sampled_from(["", " ", "\t "])
BREAK = st.sampled_from(["", " ", "\n", ' # ] } = "\n', "\n\n"])
KEYS = st.sampled_from(["{}", '"{} x"', "'{}#='", '"{}\\t\\u00e9"', "{}-_"])


class Builder:
    """Writes a document out of what hypothesis draws."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.count = 0

    def marker(self) -> str:
        self.count += 1
        return f"m{self.count}m"

    def key(self) -> str:
        parts = self.data.draw(st.lists(KEYS, min_size=1, max_size=3))
        dot = self.data.draw(SPACE) + "." + self.data.draw(SPACE)
        return dot.join(part.format(self.marker()) for part in parts)

    def value(self, depth: int) -> str:
        kind = self.data.draw(
            st.sampled_from(["scalar", "array", "table"] if depth else ["scalar"])
        )
        if kind == "scalar":
            template = self.data.draw(SCALARS)
            return template.replace("{}", self.marker())
        count = self.data.draw(st.integers(0, 3))
        if kind == "table":
            pairs = [self.pair(depth - 1) for _ in range(count)]
            return "{" + self.data.draw(SPACE) + ", ".join(pairs) + "}"
        text = "[" + self.data.draw(BREAK)
        for index in range(count):
            last = index == count - 1
            text += self.value(depth - 1) + self.data.draw(BREAK)
            text += "" if last and self.data.draw(st.booleans()) else "," + self.data.draw(BREAK)
        return text + "]"

    def pair(self, depth: int) -> str:
        gap = self.data.draw(SPACE)
        return f"{self.key()}{gap}={gap}{self.value(depth)}"

    def document(self) -> str:
        lines: list[str] = []
        tables: list[str] = []
        for _ in range(self.data.draw(st.integers(0, 5))):
            lines += [self.pair(2) + self.data.draw(SPACE) for _ in range(2)]
            parent = self.data.draw(st.sampled_from([*tables, ""]))
            name = f"{parent}.{self.key()}" if parent else self.key()
            if self.data.draw(st.booleans()):
                lines.append(f"[[{name}]]  # ] comment")
                tables.append(name)
            else:
                lines.append(f"[ {name} ]")
            lines.append(self.data.draw(st.sampled_from(["", "# x = 1", "\t"])))
        return "\n".join([*lines, *(self.pair(2) for _ in range(2))])


def leaves(value: object, path: TomlPath = ()) -> list[tuple[TomlPath, str]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, (*path, key))]
    if isinstance(value, list):
        return [leaf for i, inner in enumerate(value) for leaf in leaves(inner, (*path, i))]
    assert isinstance(value, str)
    return [(path, value)]


@settings(deadline=None)  # The machine may be busy.
@given(st.data())
def test_every_value_is_where_its_line_says(data: st.DataObject) -> None:
    text = Builder(data).document()
    lines = text.split("\n")
    document = read_toml(text)
    assert document.values == tomllib.loads(text)
    for path, value in leaves(document.values):
        marker = value[value.index("m") : value.rindex("m") + 1]
        at = next(number for number, line in enumerate(lines, 1) if marker in line)
        # A multi-line string begins up to two lines above its text.
        assert path in document.lines
        opening = document.line(path)
        assert opening <= at <= opening + 2
        between = lines[opening - 1 : at - 1]
        assert not between or between[0].endswith(('"""\\', "'''"))
    for path, number in document.lines.items():
        key = path[-1]
        if isinstance(key, str):
            assert key[: key.rindex("m") + 1] in lines[number - 1]

"""Dependency expressions: what can be written, and what it means."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioresource._errors import DependencyError
from trioresource._model.dependencies import NO_DEPENDENCIES, Dependencies, parse_dependencies

_NAMES = st.text(min_size=1, max_size=6).filter(
    lambda text: text == text.strip() and "[" not in text and "]" not in text
)


@st.composite
def _dependencies(draw: st.DrawFn) -> Dependencies:
    names = draw(st.lists(_NAMES, unique=True, max_size=8))
    clauses: list[tuple[str, ...]] = []
    while names:
        size = draw(st.integers(1, len(names)))
        clauses.append(tuple(names[:size]))
        names = names[size:]
    return Dependencies(tuple(clauses))


@pytest.mark.parametrize(
    ("source", "clauses"),
    [
        (None, ()),
        ("", ()),
        (" \n", ()),
        ([], ()),
        ("db", (("db",),)),
        ("  my disk ", (("my disk",),)),
        ("[ my disk ]", (("my disk",),)),
        (["db", " cache "], (("db",), ("cache",))),
        (("db",), (("db",),)),
        (iter(["db"]), (("db",),)),
        ("[a] and [b]", (("a",), ("b",))),
        ("[a] or [b] or [c]", (("a", "b", "c"),)),
        ("([a] or [b]) and [c]", (("a", "b"), ("c",))),
        ("([a] or [b]) and ([c])", (("a", "b"), ("c",))),
        ("[c]AND([a]OR[b])", (("c",), ("a", "b"))),
        ("([a]) Or\n([b] or [c])", (("a", "b", "c"),)),
        ("[and] and [or]", (("and",), ("or",))),
        ("[a(b)]", (("a(b)",),)),
        (Dependencies((("a", "b"),)), (("a", "b"),)),
    ],
)
def test_what_can_be_written(source: Any, clauses: tuple[tuple[str, ...], ...]) -> None:
    assert parse_dependencies(source, owner="web").clauses == clauses


_ALLOWED = "; allowed is an AND of OR sets, such as ([a] or [b]) and [c]"


@pytest.mark.parametrize(
    ("source", "where"),
    [
        ("[a] [b]", "column 5: expected 'and' or 'or' before [b]"),
        ("[a] and", "column 8: expected a name in brackets before the end"),
        ("or [a]", "column 1: expected a name in brackets before or"),
        ("[a] and and [b]", "column 9: expected a name in brackets before and"),
        ("()", "column 2: expected a name in brackets before )"),
        ("([a] or [b] ", "column 12: expected 'or' or ')' before the end"),
        ("([a] [b])", "column 6: expected 'or' or ')' before [b]"),
        ("[a])", "column 4: expected 'and' or 'or' before )"),
        ("  [a", "column 3: the bracket [ has no counterpart"),
        ("[a]]", "column 4: the bracket ] has no counterpart"),
        ("[a] and b", "column 9: 'b' is not understood; a name stands in brackets: [b]"),
        ("[a] xor [b]", "column 5: 'xor' is not understood; a name stands in brackets: [xor]"),
        (
            "[a] and [b] or [c]",
            "column 13: 'and' and 'or' are mixed without parentheses, so it is open which comes"
            " first",
        ),
        (
            "[a] or [b] and [c]",
            "column 12: 'and' and 'or' are mixed without parentheses, so it is open which comes"
            " first",
        ),
        ("([a] and [b]) or [c]", "column 6: 'and' cannot stand within parentheses"),
        ("(([a] or [b]) and [c])", "column 2: expected a name in brackets before ("),
    ],
)
def test_what_can_not_be_read_is_told_with_its_column(source: str, where: str) -> None:
    with pytest.raises(DependencyError) as caught:
        parse_dependencies(source, owner="web")
    assert str(caught.value) == f"dependencies of web: {source!r}, {where}{_ALLOWED}"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "a And b or c",
            "in the expression 'a And b or c' names must stand in brackets: [a] and [b] or [c]",
        ),
        ("[a] and [b] and [a]", "each dependency is named once, but a more often"),
        (["a", "b", "b", "a"], "each dependency is named once, but a, b more often"),
        ("[a] and ([a] or [b])", "each dependency is named once, but a more often"),
        ("web", "web cannot depend on itself"),
        (["a", "web"], "web cannot depend on itself"),
        (Dependencies((("a", "web"),)), "web cannot depend on itself"),
        ({"a"}, "expected a name, an expression or a list of names, not a set"),
        (7, "expected a name, an expression or a list of names, not a int"),
        (["a", 7], "item 2 of the list is 7, which is no name"),
        (
            ["[a]"],
            "'[a]' cannot be the name of a dependency; a name is not empty, has no brackets in"
            " it and no space around it",
        ),
        (
            "[ ]",
            "'' cannot be the name of a dependency; a name is not empty, has no brackets in it"
            " and no space around it",
        ),
    ],
)
def test_what_can_not_be_is_refused(source: Any, message: str) -> None:
    with pytest.raises(DependencyError) as caught:
        parse_dependencies(source, owner="web")
    assert str(caught.value) == f"dependencies of web: {message}"


@pytest.mark.parametrize("clauses", [((),), (("a",), ())])
def test_an_empty_set_is_refused(clauses: tuple[tuple[str, ...], ...]) -> None:
    with pytest.raises(DependencyError, match="at least one name"):
        Dependencies(clauses)


@given(_dependencies())
def test_an_expression_reads_as_it_was_written(dependencies: Dependencies) -> None:
    assert parse_dependencies(str(dependencies), owner="\n") == dependencies
    assert dependencies.names == tuple(itertools.chain.from_iterable(dependencies.clauses))


@given(st.text(alphabet="[]()ab or\tand", max_size=30))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        dependencies = parse_dependencies(text, owner="web")
    except DependencyError as error:
        words = str(error)
    else:
        assert parse_dependencies(str(dependencies), owner="web") == dependencies
        return
    assert words.startswith("dependencies of web: ")


def test_no_dependencies_are_satisfied_by_nothing() -> None:
    assert NO_DEPENDENCIES.is_satisfied(lambda _: False)
    assert str(NO_DEPENDENCIES) == ""
    assert NO_DEPENDENCIES.names == ()


@given(_dependencies(), st.data())
def test_satisfied_is_one_of_each_set(dependencies: Dependencies, data: st.DataObject) -> None:
    online = data.draw(st.lists(st.sampled_from(dependencies.names or ("other",))))
    missing = [
        clause for clause in dependencies.clauses if not [name for name in clause if name in online]
    ]
    assert dependencies.is_satisfied(lambda name: name in online) is (not missing)


def test_only_the_last_provider_of_a_set_takes_the_dependent_down() -> None:
    needed = parse_dependencies("([a] or [b]) and [c]", owner="web")
    assert needed.is_satisfied("bc".__contains__)
    assert needed.is_satisfied("ac".__contains__)
    assert not needed.is_satisfied("c".__contains__)
    assert not needed.is_satisfied("ab".__contains__)

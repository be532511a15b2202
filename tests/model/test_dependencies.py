from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioresource.errors import DependencyError
from trioresource.model.dependencies import (
    MAX_DEPTH,
    NO_DEPENDENCIES,
    Dependencies,
    dependents_of,
    find_mistakes,
    parse_dependencies,
    start_order,
    stop_order,
    top_level,
    validate_dependencies,
)


def _needs(**expressions: Any) -> dict[str, Dependencies]:
    return {
        name: parse_dependencies(source, owner=f"owner of {name}")
        for name, source in expressions.items()
    }


def _same_group(dependencies: dict[str, Dependencies]) -> dict[str, str]:
    return dict.fromkeys(dependencies, "shop")


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


@st.composite
def _acyclic(draw: st.DrawFn) -> dict[str, Dependencies]:
    """Resources of which each may depend on earlier ones, in any order of definition."""
    size = draw(st.integers(0, 12))
    found: dict[str, Dependencies] = {}
    for number in range(size):
        earlier = list(found)
        wanted = draw(st.lists(st.sampled_from(earlier), unique=True)) if earlier else []
        cut = draw(st.integers(0, len(wanted)))
        clauses: list[tuple[str, ...]] = [(name,) for name in wanted[:cut]]
        if wanted[cut:]:
            clauses.append(tuple(wanted[cut:]))
        found[f"r{number}"] = Dependencies(tuple(clauses))
    order = draw(st.permutations(list(found)))
    return {name: found[name] for name in order}


# --- expressions -----------------------------------------------------------------------


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
        ("([a] and [b]) or [c]", "column 6: 'and' can not stand within parentheses"),
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
        ("web", "web can not depend on itself"),
        (["a", "web"], "web can not depend on itself"),
        (Dependencies((("a", "web"),)), "web can not depend on itself"),
        ({"a"}, "expected a name, an expression or a list of names, not a set"),
        (7, "expected a name, an expression or a list of names, not a int"),
        (["a", 7], "item 2 of the list is 7, which is no name"),
        (
            ["[a]"],
            "'[a]' can not be the name of a dependency; a name is not empty, has no brackets in"
            " it and no space around it",
        ),
        (
            "[ ]",
            "'' can not be the name of a dependency; a name is not empty, has no brackets in it"
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


# --- mistakes --------------------------------------------------------------------------


def test_all_mistakes_are_found_at_once() -> None:
    needs = _needs(
        web="[databse] and [log] and [web]",
        database="",
        a="b",
        b="c",
        c="[a] or [database]",
        log="",
        odd="zzz",
    )
    groups = {**_same_group(needs), "log": "logging"}
    expected = (
        "web: it depends on 'databse', which there is not; did you mean 'database'?",
        "web: it is in the group 'shop' and can not depend on 'log' in the group 'logging'; put"
        " both into one group",
        "web: it can not depend on itself",
        "odd: it depends on 'zzz', which there is not",
        "a: the dependencies are circular: a -> b -> c -> a",
    )
    assert find_mistakes(needs, groups) == expected
    with pytest.raises(DependencyError) as caught:
        validate_dependencies(needs, groups)
    assert str(caught.value) == "5 mistakes in the dependencies:\n  " + "\n  ".join(expected)


def test_one_mistake_is_the_message() -> None:
    needs = _needs(a="b", b="a")
    with pytest.raises(DependencyError) as caught:
        validate_dependencies(needs, _same_group(needs))
    assert str(caught.value) == "a: the dependencies are circular: a -> b -> a"


def test_circles_that_share_nothing_are_all_found() -> None:
    needs = _needs(tail="[y] and [b]", a="b", b="[c] and [a]", c="", x="y", y="z", z="x")
    assert find_mistakes(needs, _same_group(needs)) == (
        "y: the dependencies are circular: y -> z -> x -> y",
        "b: the dependencies are circular: b -> a -> b",
    )


def test_a_long_circle_is_shown_in_part() -> None:
    names = [f"r{number}" for number in range(1000)]
    needs = {
        name: Dependencies(((provider,),))
        for name, provider in zip(names, [*names[1:], names[0]], strict=True)
    }
    (mistake,) = find_mistakes(needs, _same_group(needs))
    assert mistake.startswith("r0: the dependencies are circular: r0 -> r1 -> ")
    assert " -> r9 -> ... 981 more ... -> r991 -> " in mistake
    assert mistake.endswith(" -> r999 -> r0")


@pytest.mark.parametrize("length", [MAX_DEPTH, MAX_DEPTH + 1])
def test_the_depth_is_bounded(length: int) -> None:
    chain = {f"r{number}": Dependencies(((f"r{number + 1}",),)) for number in range(length - 1)}
    chain[f"r{length - 1}"] = NO_DEPENDENCIES
    mistakes = find_mistakes(chain, _same_group(chain))
    if length == MAX_DEPTH:
        assert mistakes == ()
        validate_dependencies(chain, _same_group(chain))
    else:
        assert mistakes == (
            "r0: 101 resources depend on each other in a chain; at most 100 are allowed",
        )


def test_without_resources_there_is_no_mistake() -> None:
    assert find_mistakes({}, {}) == ()
    assert start_order({}) == ()


def test_an_owner_without_a_group_has_no_other_group() -> None:
    assert find_mistakes(_needs(new="a"), {"a": "shop"}) == ()


def test_guessing_ends_where_it_would_take_long() -> None:
    wrong = {f"w{number}": Dependencies(((f"known_{number}",),)) for number in range(100)}
    groups = {**_same_group(wrong), "known": "shop"}
    mistakes = find_mistakes(wrong, groups)
    assert len(mistakes) == 100
    assert sum("did you mean 'known'?" in mistake for mistake in mistakes) == 20


@given(_acyclic(), st.data())
def test_a_circle_is_found_wherever_it_is(
    dependencies: dict[str, Dependencies], data: st.DataObject
) -> None:
    assert find_mistakes(dependencies, _same_group(dependencies)) == ()
    chained = [
        (name, provider)
        for name in dependencies
        for provider in dependencies[name].names
        if name not in dependencies[provider].names
    ]
    if not chained:
        return
    name, provider = data.draw(st.sampled_from(chained))
    closed = {**dependencies}
    closed[provider] = Dependencies((*dependencies[provider].clauses, (name,)))
    found = [one for one in find_mistakes(closed, _same_group(closed)) if "circular" in one]
    assert found
    for mistake in found:
        circle = mistake.partition("circular: ")[2].split(" -> ")
        assert circle[0] == circle[-1]
        for one, other in itertools.pairwise(circle):
            assert other in closed[one].names
    assert found == list(find_mistakes(closed, _same_group(closed)))
    with pytest.raises(DependencyError, match="circular"):
        start_order(closed)


# --- order -----------------------------------------------------------------------------


def test_layers() -> None:
    needs = _needs(web="[app] and [cache]", app="([db] or [replica])", cache="", db="", replica="")
    assert start_order(needs) == (("cache", "db", "replica"), ("app",), ("web",))
    assert stop_order(needs) == (("web",), ("app",), ("replica", "db", "cache"))
    assert top_level(needs) == ("web",)
    assert dependents_of(needs) == {
        "web": (),
        "app": ("web",),
        "cache": ("web",),
        "db": ("app",),
        "replica": ("app",),
    }


def test_names_outside_of_the_mapping_do_not_count() -> None:
    needs = _needs(web="[db] and [elsewhere]", db="elsewhere")
    assert start_order(needs) == (("db",), ("web",))
    assert dependents_of(needs) == {"web": (), "db": ("web",)}


@pytest.mark.parametrize("order", [start_order, stop_order])
def test_a_circle_has_no_order(order: Any) -> None:
    needs = _needs(a="b", b="c", c="b")
    with pytest.raises(DependencyError) as caught:
        order(needs)
    assert str(caught.value) == "b: the dependencies are circular: b -> c -> b"


@given(_acyclic())
def test_the_order_respects_every_dependency(dependencies: dict[str, Dependencies]) -> None:
    layers = start_order(dependencies)
    place = {name: number for number, layer in enumerate(layers) for name in layer}
    assert sorted(place) == sorted(dependencies)
    assert all(layers)
    for name, needed in dependencies.items():
        # As early as it can be, and no earlier.
        assert place[name] == max((place[one] + 1 for one in needed.names), default=0)
    definition = list(dependencies)
    for layer in layers:
        assert list(layer) == sorted(layer, key=definition.index)
    backwards = [name for layer in stop_order(dependencies) for name in layer]
    assert backwards[::-1] == [name for layer in layers for name in layer]


@given(_acyclic())
def test_dependents_are_dependencies_turned_round(dependencies: dict[str, Dependencies]) -> None:
    dependents = dependents_of(dependencies)
    assert list(dependents) == list(dependencies)
    pairs = [(provider, name) for name in dependencies for provider in dependencies[name].names]
    assert sorted(pairs) == sorted((one, other) for one in dependents for other in dependents[one])
    assert top_level(dependencies) == tuple(one for one in dependents if not dependents[one])


def test_many_resources_in_a_chain_need_no_recursion_and_no_long_time() -> None:
    size = 50_000
    names = [f"r{number}" for number in range(size)]
    needs = {
        name: Dependencies(tuple((one,) for one in names[number + 1 : number + 3]))
        for number, name in enumerate(names)
    }
    # In quadratic time this would take minutes, and run into the time limit of a test.
    assert start_order(needs) == tuple((name,) for name in reversed(names))
    (mistake,) = find_mistakes(needs, _same_group(needs))
    assert mistake.startswith("r0: 50000 resources")
    needs[names[-1]] = Dependencies((("r0",),))
    assert "circular" in find_mistakes(needs, _same_group(needs))[0]

"""The dependencies of many resources: mistakes in them, and the order that they give."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioresource._errors import DependencyError
from trioresource._model.dependencies import (
    MAX_DEPTH,
    NO_DEPENDENCIES,
    Dependencies,
    find_mistakes,
    parse_dependencies,
    start_order,
    validate_dependencies,
)


def _needs(**expressions: Any) -> dict[str, Dependencies]:
    return {
        name: parse_dependencies(source, owner=f"owner of {name}")
        for name, source in expressions.items()
    }


def _same_group(dependencies: dict[str, Dependencies]) -> dict[str, str]:
    return dict.fromkeys(dependencies, "shop")


def lines(dependencies: dict[str, Dependencies], groups: dict[str, str]) -> tuple[str, ...]:
    """The mistakes, as the message of the error has them."""
    return tuple(f"{owner}: {text}" for owner, text in find_mistakes(dependencies, groups))


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
        "web: depends on unknown resource 'databse'; did you mean 'database'?",
        "web: depends on 'log', which is in group 'logging'; this resource is in group 'shop', and"
        " dependencies cannot cross groups: put both into one group",
        "web: a resource cannot depend on itself",
        "odd: depends on unknown resource 'zzz'",
        "a: the dependencies are circular: a -> b -> c -> a",
    )
    assert lines(needs, groups) == expected
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
    assert lines(needs, _same_group(needs)) == (
        "y: the dependencies are circular: y -> z -> x -> y",
        "b: the dependencies are circular: b -> a -> b",
    )


def test_a_long_circle_is_shown_in_part() -> None:
    names = [f"r{number}" for number in range(1000)]
    needs = {
        name: Dependencies(((provider,),))
        for name, provider in zip(names, [*names[1:], names[0]], strict=True)
    }
    (mistake,) = lines(needs, _same_group(needs))
    assert mistake.startswith("r0: the dependencies are circular: r0 -> r1 -> ")
    assert " -> r9 -> ... 981 more ... -> r991 -> " in mistake
    assert mistake.endswith(" -> r999 -> r0")


@pytest.mark.parametrize("length", [MAX_DEPTH, MAX_DEPTH + 1])
def test_the_depth_is_bounded(length: int) -> None:
    chain = {f"r{number}": Dependencies(((f"r{number + 1}",),)) for number in range(length - 1)}
    chain[f"r{length - 1}"] = NO_DEPENDENCIES
    mistakes = lines(chain, _same_group(chain))
    if length == MAX_DEPTH:
        assert mistakes == ()
        validate_dependencies(chain, _same_group(chain))
    else:
        assert mistakes == (
            "r0: 101 resources depend on each other in a chain; at most 100 are allowed",
        )


def test_without_resources_there_is_no_mistake() -> None:
    assert find_mistakes({}, {}) == []
    assert start_order({}) == ()


def test_an_owner_without_a_group_has_no_other_group() -> None:
    assert find_mistakes(_needs(new="a"), {"a": "shop"}) == []


def test_guessing_ends_where_it_would_take_long() -> None:
    wrong = {f"w{number}": Dependencies(((f"known_{number}",),)) for number in range(100)}
    groups = {**_same_group(wrong), "known": "shop"}
    mistakes = lines(wrong, groups)
    assert len(mistakes) == 100
    assert sum("did you mean 'known'?" in mistake for mistake in mistakes) == 20


@given(_acyclic(), st.data())
def test_a_circle_is_found_wherever_it_is(
    dependencies: dict[str, Dependencies], data: st.DataObject
) -> None:
    assert find_mistakes(dependencies, _same_group(dependencies)) == []
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
    found = [text for _, text in find_mistakes(closed, _same_group(closed)) if "circular" in text]
    assert found
    for mistake in found:
        circle = mistake.partition("circular: ")[2].split(" -> ")
        assert circle[0] == circle[-1]
        for one, other in itertools.pairwise(circle):
            assert other in closed[one].names
    assert found == [text for _, text in find_mistakes(closed, _same_group(closed))]
    with pytest.raises(DependencyError, match="circular"):
        start_order(closed)


# --- order -----------------------------------------------------------------------------


def test_layers() -> None:
    needs = _needs(web="[app] and [cache]", app="([db] or [replica])", cache="", db="", replica="")
    assert start_order(needs) == (("cache", "db", "replica"), ("app",), ("web",))


def test_names_outside_of_the_mapping_do_not_count() -> None:
    needs = _needs(web="[db] and [elsewhere]", db="elsewhere")
    assert start_order(needs) == (("db",), ("web",))


def test_a_circle_has_no_order() -> None:
    needs = _needs(a="b", b="c", c="b")
    with pytest.raises(DependencyError) as caught:
        start_order(needs)
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


def test_many_resources_in_a_chain_need_no_recursion_and_no_long_time() -> None:
    size = 50_000
    names = [f"r{number}" for number in range(size)]
    needs = {
        name: Dependencies(tuple((one,) for one in names[number + 1 : number + 3]))
        for number, name in enumerate(names)
    }
    # In quadratic time this would take minutes, and run into the time limit of a test.
    assert start_order(needs) == tuple((name,) for name in reversed(names))
    (mistake,) = lines(needs, _same_group(needs))
    assert mistake.startswith("r0: 50000 resources")
    needs[names[-1]] = Dependencies((("r0",),))
    assert "circular" in lines(needs, _same_group(needs))[0]

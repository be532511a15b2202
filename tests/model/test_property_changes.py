"""Changes of properties: what they make, and which are refused."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioresource._errors import PropertyError
from trioresource._model.properties import (
    DEFAULT,
    changed_names,
    check_changes,
    is_dynamic,
    read_properties,
)

from .conftest import DSN, Database


def test_changes_make_a_new_mapping() -> None:
    stored = {"dsn": DSN, "pool_size": 5}
    changes = {"pool_size": DEFAULT, "speed": "slow", "target": DEFAULT}
    assert check_changes(Database, stored, changes, owner="db") == {"dsn": DSN, "speed": "slow"}
    assert stored == {"dsn": DSN, "pool_size": 5}
    assert repr(DEFAULT) == "DEFAULT"
    assert pickle.loads(pickle.dumps(DEFAULT)) is DEFAULT


def test_no_change_is_a_copy() -> None:
    stored = {"dsn": DSN}
    changed = check_changes(Database, stored, {})
    assert changed == stored
    assert changed is not stored


def test_all_mistakes_of_changes_at_once() -> None:
    changes = {"nodes": 1, "unknown": DEFAULT, "node": "b", "pool_size": 0, "dsn": DEFAULT}
    with pytest.raises(PropertyError) as caught:
        check_changes(Database, {"dsn": DSN}, changes, owner="db")
    assert caught.value.mistakes == (
        "dsn: is required and missing; allowed: URL",
        "pool_size: 0 is not accepted; allowed: whole number, at least 1, at most 100",
        "node: is read-only; leave it out, the type keeps it itself",
        "nodes: there is no such property; did you mean 'node'?",
        "unknown: there is no such property; there are: dsn, pool_size, speed, password, keys,"
        " login, node, target, labels",
    )


def test_what_the_type_gives_need_not_be_stored() -> None:
    assert check_changes(Database, {}, {"pool_size": 5}, defaults={"dsn": DSN}) == {"pool_size": 5}
    assert check_changes(Database, {"dsn": DSN}, {"dsn": DEFAULT}, defaults={"dsn": DSN}) == {}


def test_what_an_older_type_left_behind_can_be_cleared() -> None:
    stored = {"dsn": DSN, "gone": 1, "node": "x"}
    with pytest.raises(PropertyError) as caught:
        check_changes(Database, stored, {"pool_size": 3})
    assert [line.partition(":")[0] for line in caught.value.mistakes] == ["node", "gone"]
    assert check_changes(Database, stored, {"gone": DEFAULT, "node": DEFAULT}) == {"dsn": DSN}


def test_a_read_only_property_can_not_even_be_cleared_where_it_is_not_stored() -> None:
    with pytest.raises(PropertyError, match="node: is read-only"):
        check_changes(Database, {"dsn": DSN}, {"node": DEFAULT})


@given(
    stored=st.dictionaries(st.sampled_from(["pool_size", "target"]), st.integers(-5, 150)),
    changes=st.dictionaries(
        st.sampled_from(["pool_size", "target", "other"]), st.integers(-5, 150) | st.just(DEFAULT)
    ),
)
def test_what_passes_as_a_change_can_be_read_and_nothing_else(
    stored: dict[str, Any], changes: dict[str, Any]
) -> None:
    before = dict(stored)
    expected = {**stored, **changes}
    expected = {name: value for name, value in expected.items() if value is not DEFAULT}
    try:
        changed = check_changes(Database, stored, changes, defaults={"dsn": DSN})
    except PropertyError:
        assert "other" in changes or not 1 <= expected.get("pool_size", 1) <= 100
    else:
        assert changed == expected
        read_properties(Database, {"dsn": DSN}, changed)
    assert stored == before


def test_changed_names_and_whether_they_are_dynamic() -> None:
    old = read_properties(Database, {"dsn": DSN})
    new = read_properties(Database, {"dsn": DSN, "speed": "slow", "pool_size": 4, "target": 1})
    assert changed_names(old, old) == ()
    assert changed_names(old, old.model_copy()) == ()
    assert changed_names(old, new) == ("pool_size", "speed")
    assert is_dynamic(Database, changed_names(old, new))
    assert not is_dynamic(Database, ["pool_size", "dsn"])
    assert not is_dynamic(Database, ["unknown"])
    assert is_dynamic(Database, ())

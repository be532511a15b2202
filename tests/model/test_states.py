from __future__ import annotations

import itertools
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioresource._model.states import (
    LEGAL_TRANSITIONS,
    GroupState,
    ResourceState,
    compute_group_state,
    is_legal,
)

_RS = ResourceState
_STATES = st.sampled_from(list(ResourceState))


def test_every_state_has_transitions_and_none_leads_back_to_initializing() -> None:
    assert list(LEGAL_TRANSITIONS) == list(ResourceState)
    for old, successors in LEGAL_TRANSITIONS.items():
        assert old not in successors
        assert len(dict.fromkeys(successors)) == len(successors) > 0
        assert _RS.INITIALIZING not in successors


def test_is_legal_is_the_table() -> None:
    legal = [
        (old, new) for old, new in itertools.product(ResourceState, repeat=2) if is_legal(old, new)
    ]
    assert legal == [
        (_RS.INITIALIZING, _RS.OFFLINE),
        (_RS.INITIALIZING, _RS.FAILED),
        (_RS.OFFLINE, _RS.ONLINE_PENDING),
        (_RS.ONLINE_PENDING, _RS.OFFLINE),
        (_RS.ONLINE_PENDING, _RS.ONLINE),
        (_RS.ONLINE_PENDING, _RS.OFFLINE_PENDING),
        (_RS.ONLINE_PENDING, _RS.FAILED),
        (_RS.ONLINE, _RS.OFFLINE_PENDING),
        (_RS.ONLINE, _RS.FAILED),
        (_RS.OFFLINE_PENDING, _RS.OFFLINE),
        (_RS.OFFLINE_PENDING, _RS.FAILED),
        (_RS.FAILED, _RS.OFFLINE),
        (_RS.FAILED, _RS.ONLINE_PENDING),
    ]


def test_every_state_can_be_reached_and_left_again() -> None:
    reached = [_RS.INITIALIZING]
    for state in reached:
        reached += [new for new in LEGAL_TRANSITIONS[state] if new not in reached]
    assert sorted(reached, key=list(ResourceState).index) == list(ResourceState)


@pytest.mark.parametrize(
    ("state", "pending", "active"),
    [
        (_RS.INITIALIZING, False, False),
        (_RS.OFFLINE, False, False),
        (_RS.ONLINE_PENDING, True, True),
        (_RS.ONLINE, False, True),
        (_RS.OFFLINE_PENDING, True, True),
        (_RS.FAILED, False, False),
    ],
)
def test_kinds_of_states(state: ResourceState, pending: bool, active: bool) -> None:
    assert state.is_pending is pending
    assert state.is_active is active


@pytest.mark.parametrize("state", list(ResourceState))
def test_a_state_survives_the_way_to_another_process(state: ResourceState) -> None:
    copy = pickle.loads(pickle.dumps(state))
    assert copy is state
    assert {state: "found"}[copy] == "found"


def test_an_empty_group_is_offline() -> None:
    assert compute_group_state([], []) is GroupState.OFFLINE


def test_provider_online_and_dependent_offline_is_partial() -> None:
    assert compute_group_state([_RS.ONLINE, _RS.OFFLINE], [_RS.OFFLINE]) is (
        GroupState.PARTIAL_ONLINE
    )


def test_a_failed_provider_fails_the_group_even_if_the_top_is_pending() -> None:
    members = [_RS.FAILED, _RS.ONLINE_PENDING]
    assert compute_group_state(members, members[1:]) is GroupState.FAILED


def test_an_unused_provider_offline_does_not_count_where_the_top_is_online() -> None:
    # One provider of an OR set is enough.
    members = [_RS.ONLINE, _RS.OFFLINE, _RS.ONLINE]
    assert compute_group_state(members, members[2:]) is GroupState.ONLINE


@given(members=st.lists(_STATES, max_size=6), data=st.data())
def test_group_state_is_the_table_of_the_protocol(
    members: list[ResourceState], data: st.DataObject
) -> None:
    # Acyclic dependencies leave at least one member that nobody depends on.
    least = 1 if members else 0
    size = data.draw(st.integers(least, len(members)))
    top_level = members[:size]

    # [MS-CMRP] 3.1.4.2.46, row by row; the last row closes its gap.
    if any(state is _RS.FAILED for state in members):
        expected = GroupState.FAILED
    elif any(
        state in (_RS.ONLINE_PENDING, _RS.OFFLINE_PENDING, _RS.INITIALIZING) for state in members
    ):
        expected = GroupState.PENDING
    elif top_level and all(state is _RS.ONLINE for state in top_level):
        expected = GroupState.ONLINE
    elif members.count(_RS.OFFLINE) == len(members):
        expected = GroupState.OFFLINE
    else:
        expected = GroupState.PARTIAL_ONLINE
    # Iterators will do: each argument is read once.
    assert compute_group_state(iter(members), iter(top_level)) is expected

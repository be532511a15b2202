"""Workloads for the model of the lifecycle, made by Hypothesis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

from tests.lifecycle_model.observations import Ask, Entry
from tests.lifecycle_model.operations import (
    Behave,
    Do,
    Finish,
    Late,
    Manner,
    Operation,
    Renew,
    Say,
    Set,
    Wait,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import SearchStrategy

_COMMANDS: Final = (Ask.ONLINE, Ask.OFFLINE, Ask.TERMINATE, Ask.CONTROL)
_TIMES: Final = (0.0, 0.1, 0.3, 0.5, 1.0, 2.5, 4.0)
"""Seconds: about the deadlines that the drivers of the lifecycle use, and exactly so."""


def operations(
    resources: Sequence[str] = ("r",), *, renewed: Sequence[str] = ()
) -> SearchStrategy[Operation]:
    """Whatever may happen to a resource; see ``tests.lifecycle_model``.

    Args:
        resources: the names of the resources.
        renewed: the names of those that may be removed and added again.

    Returns:
        What makes operations, the plain ones first.
    """
    name = st.sampled_from(resources)
    times = st.sampled_from(_TIMES)
    return st.one_of(
        st.builds(Do, st.sampled_from(_COMMANDS), name),
        st.builds(Wait, times),
        st.builds(
            Behave,
            st.sampled_from((*Entry, None)),
            st.sampled_from(Manner),
            times,
            name,
        ),
        st.builds(Do, st.just(Ask.ONLINE), name),
        st.builds(Do, st.sampled_from(_COMMANDS), name, patience=st.sampled_from((0.0, 0.1, 0.3))),
        st.builds(Say, st.sampled_from((Ask.FAIL, Ask.REPORT, Ask.PROGRESS)), name),
        st.builds(Finish, st.sampled_from((Manner.RAISE, Manner.FINE)), name, st.booleans()),
        st.builds(Late, st.sampled_from((Ask.REPORT, Ask.PROGRESS)), name),
        st.builds(Set, st.integers(1, 3), name),
        *([st.builds(Renew, st.sampled_from(renewed))] if renewed else []),
    )


def workloads(
    resources: Sequence[str] = ("r",), *, size: int = 10, renewed: Sequence[str] = ()
) -> SearchStrategy[list[Operation]]:
    """Lists of operations.

    Args:
        resources: the names of the resources.
        size: how many operations at most.
        renewed: the names of those that may be removed and added again.
    """
    return st.lists(operations(resources, renewed=renewed), min_size=1, max_size=size)

"""One value that says how a cluster is, for health endpoints."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, final

import attrs

from .._model.states import DesiredState, ResourceState
from .answers import find_failure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .records import ResourceRecord


class HealthStatus(enum.Enum):
    """How a cluster is, all in all."""

    OK = "ok"
    """Every resource that should be online is online."""
    DEGRADED = "degraded"
    """A resource is not online, but the cluster is at work on it, or an operator is."""
    FAILED = "failed"
    """A resource has given up, does not end, or needs one of these. It stays so until something
    is mended, or until its ``retry`` is due."""


@final
@attrs.frozen
class Health:
    """How a cluster is at one moment; made by ``Cluster.health``."""

    status: HealthStatus
    """The worst that holds for any resource."""
    reasons: Mapping[str, str]
    """What is wrong, in words for people, by the name of each resource that should be online and
    is not. Empty if the status is ``OK``. They hold texts of exceptions, so think before you show
    them to the public."""


def compute_health(records: Iterable[ResourceRecord], *, closing: bool) -> Health:
    """Find out how a cluster is.

    Args:
        records: its resources.
        closing: whether it is closing.
    """
    status, reasons = HealthStatus.OK, dict[str, str]()
    for record in records:
        if record.desired is DesiredState.OFFLINE or record.is_removed:
            continue
        if record.is_published_online:
            continue
        failure = _find_lasting_failure(record, closing=closing)
        reasons[record.name] = _describe(record, closing=closing) if failure is None else failure
        if failure is not None:
            status = HealthStatus.FAILED
        elif status is HealthStatus.OK:
            status = HealthStatus.DEGRADED
    return Health(status, reasons)


def _find_lasting_failure(record: ResourceRecord, *, closing: bool) -> str | None:
    """Find out why a resource will not come online, without the name of the resource."""
    if closing or record.maintenance or not (record.is_settled or record.is_stuck):
        return None
    failure = find_failure(record, closing=False)
    return None if failure is None else str(failure).removeprefix(f"{record.name}: ")


def _describe(record: ResourceRecord, *, closing: bool) -> str:
    """Describe a resource that is not online and may come online."""
    state = record.state.value
    if record.maintenance:
        return f"{state}, in maintenance"
    if closing:
        return f"{state}, the cluster is closing"
    if record.group.is_drained:
        return f"{state}, the node or the group is drained"
    if record.state is ResourceState.FAILED and record.last_failure is not None:
        return f"failed and is restarted: {record.last_failure}"
    return state

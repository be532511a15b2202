"""What has become of a command to be online: an answer, or an error that says whose fault it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._errors import (
    InvalidStateError,
    NodePaused,
    OnlineFailed,
    ProviderFailed,
    ResourceStuck,
    TrioResourceError,
)
from .._model.states import DesiredState, ResourceState

if TYPE_CHECKING:
    from .records import ResourceRecord


def answer_online(record: ResourceRecord, *, closing: bool) -> ResourceState:
    """Answer a command to come online.

    Args:
        record: the resource.
        closing: whether the cluster is.

    Returns:
        ``ONLINE`` or ``ONLINE_PENDING``.

    Raises:
        TrioResourceError: it is not coming online; see ``Resource.online``.
    """
    if record.state is ResourceState.ONLINE:
        return ResourceState.ONLINE
    # What was removed is never settled: its last commands are not answered any more.
    if not (record.is_settled or record.is_stuck or record.is_removed):
        return ResourceState.ONLINE_PENDING
    failure = find_failure(record, closing=closing)
    if failure is None and record.state is ResourceState.FAILED:
        failure = _failed(record)
    if failure is not None:
        raise failure from _cause(record, failure)
    if record.desired is DesiredState.OFFLINE:
        raise OnlineFailed(f"{record.name} was taken offline while it was coming online")
    if record.group.is_drained:
        raise NodePaused(f"{record.name} stays offline: the node was paused")
    raise _needs(record, [provider for provider in record.providers if not provider.is_available])


def raise_if_cannot_come_online(record: ResourceRecord, *, closing: bool) -> None:
    """Raise if it makes no sense to wait on for a resource to be online.

    Args:
        record: the resource.
        closing: whether the cluster is.

    Raises:
        TrioResourceError: it will not be online before something is mended.
    """
    if not (record.is_settled or record.is_stuck or record.is_removed):
        return
    failure = find_failure(record, closing=closing)
    if failure is not None:
        raise failure from _cause(record, failure)


def find_failure(record: ResourceRecord, *, closing: bool) -> TrioResourceError | None:
    """Find out why a resource that is settled will not come online.

    Args:
        record: the resource.
        closing: whether the cluster is.

    Returns:
        The error, or None if it may come online or was not commanded to.
    """
    if record.is_removed:
        return InvalidStateError(f"{record.name} has been removed")
    if closing:
        return InvalidStateError("the cluster is closing")
    if record.is_stuck:
        return describe_stuck(record)
    if record.state is ResourceState.FAILED:
        given_up = record.hold is not None and record.hold.gave_up
        if given_up or record.desired is DesiredState.OFFLINE:
            return _failed(record)
    elif record.desired is DesiredState.ONLINE and not record.group.is_drained:
        failed = _failed_providers(record)
        if failed:
            return _needs(record, failed)
    return None


def describe_stuck(record: ResourceRecord) -> ResourceStuck:
    """Make the error that says that the latest attempt does not end."""
    epoch = record.epoch
    text = f"{record.name}: attempt {epoch} was terminated and has not ended"
    return ResourceStuck(text, record.reported.stuck_tree or "")


def _failed(record: ResourceRecord) -> OnlineFailed:
    return OnlineFailed(f"{record.name}: {record.last_failure}")


def _cause(record: ResourceRecord, failure: TrioResourceError) -> BaseException | None:
    """Find the handler's own exception behind an error, where there is one."""
    return record.last_error if isinstance(failure, OnlineFailed) else None


def _needs(record: ResourceRecord, missing: list[ResourceRecord]) -> ProviderFailed:
    states = ", ".join(f"{other.name} is {_known_state(other).value}" for other in missing)
    return ProviderFailed(f"{record.name} needs {record.dependencies}: {states}")


def _failed_providers(record: ResourceRecord) -> list[ResourceRecord]:
    """Find the failed resources that it depends on, at any remove, and that will not come back."""
    found: dict[ResourceRecord, bool] = {}
    pending = list(record.providers)
    while pending:
        provider = pending.pop(0)
        if provider in found or provider.is_available or provider.is_coming:
            continue
        found[provider] = provider.state is ResourceState.FAILED
        if not found[provider]:
            pending += provider.providers
    return [provider for provider, has_failed in found.items() if has_failed]


def _known_state(record: ResourceRecord) -> ResourceState:
    """Find the state of a resource: as reported, and as commanded since."""
    if record.is_told_to_go_down and record.is_active:
        return ResourceState.OFFLINE_PENDING
    return record.reported.state

"""What has become of a wish to be online: an answer, or whose fault it is."""

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

_RS = ResourceState


def answer_online(member: ResourceRecord, *, closing: bool) -> ResourceState:
    """The answer to a command to come online.

    Args:
        member: the resource.
        closing: whether the cluster is.

    Returns:
        ``ONLINE`` or ``ONLINE_PENDING``.

    Raises:
        TrioResourceError: it is not coming online; see ``Resource.online``.
    """
    if member.state is _RS.ONLINE:
        return _RS.ONLINE
    if not (member.is_settled or member.is_stuck):
        return _RS.ONLINE_PENDING
    failure = find_failure(member, closing=closing)
    if failure is None and member.state is _RS.FAILED:
        failure = _failed(member)
    if failure is not None:
        raise failure from _cause(member, failure)
    if member.desired is DesiredState.OFFLINE:
        raise OnlineFailed(f"{member.name} was taken offline while it was coming online")
    if member.group.drained:
        raise NodePaused(f"{member.name} stays offline: the node was paused")
    raise _needs(member, [one for one in member.providers if not one.is_available])


def raise_if_cannot_come_online(member: ResourceRecord, *, closing: bool) -> None:
    """See whether it makes sense to wait on for a resource to be online.

    Args:
        member: the resource.
        closing: whether the cluster is.

    Raises:
        TrioResourceError: it will not be online until somebody mends something.
    """
    if not (member.is_settled or member.is_stuck):
        return
    failure = find_failure(member, closing=closing)
    if failure is not None:
        raise failure from _cause(member, failure)


def find_failure(member: ResourceRecord, *, closing: bool) -> TrioResourceError | None:
    """Why a resource that is settled will not come online; None if it may or was not to.

    Args:
        member: the resource.
        closing: whether the cluster is.
    """
    if member.removed:
        return InvalidStateError(f"{member.name} has been removed")
    if closing:
        return InvalidStateError("the cluster is closing")
    if member.is_stuck:
        return describe_stuck(member)
    if member.state is _RS.FAILED:
        given_up = member.hold is not None and member.hold.gave_up
        if given_up or member.desired is DesiredState.OFFLINE:
            return _failed(member)
    elif member.desired is DesiredState.ONLINE and not member.group.drained:
        failed = _failed_providers(member)
        if failed:
            return _needs(member, failed)
    return None


def describe_stuck(member: ResourceRecord) -> ResourceStuck:
    """The error that says that the latest attempt does not end."""
    epoch = member.hosted.epoch
    text = f"{member.name}: attempt {epoch} was terminated and has not ended"
    return ResourceStuck(text, member.stuck_tree)


def _failed(member: ResourceRecord) -> OnlineFailed:
    return OnlineFailed(f"{member.name}: {member.last_failure}")


def _cause(member: ResourceRecord, failure: TrioResourceError) -> BaseException | None:
    """The handler's own exception behind an error, where there is one."""
    return member.last_error if isinstance(failure, OnlineFailed) else None


def _needs(member: ResourceRecord, missing: list[ResourceRecord]) -> ProviderFailed:
    states = ", ".join(f"{one.name} is {one.hosted.state.value}" for one in missing)
    return ProviderFailed(f"{member.name} needs {member.dependencies}: {states}")


def _failed_providers(member: ResourceRecord) -> list[ResourceRecord]:
    """Those it depends on, at any remove, that have failed and will not come back."""
    found: dict[ResourceRecord, bool] = {}
    pending = list(member.providers)
    while pending:
        one = pending.pop(0)
        if one in found or one.is_available or one.is_coming:
            continue
        found[one] = one.state is _RS.FAILED
        if not found[one]:
            pending += one.providers
    return [one for one, failed in found.items() if failed]

"""Adding the resources of a cluster file to a cluster."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from .._cluster import Cluster, Resource
    from ._definition import ClusterConfig, ResourceConfig

_CLEANUP: Final = 30.0
"""Seconds to remove the resources that were added before an error; without a bound, a
handler that does not close would keep the error back."""


async def add_resources(cluster: Cluster, config: ClusterConfig) -> tuple[Resource, ...]:
    """Add the resources of a cluster file to a cluster, and request that they come online.

    Resources are added group by group, providers before their dependents. Those with
    ``autostart``, and all that they depend on, are then requested to come online; call
    ``wait_online()`` of the cluster or of a resource to wait for that.

    If a resource cannot be added, those that were added before it are removed again.
    Cancellation leaves the resources that have been added so far in the cluster, none of
    them requested to come online.

    Args:
        cluster: the cluster to add to.
        config: the definitions that ``load_cluster_file`` returned.

    Returns:
        The resources with ``autostart``, in the order in which they were added.

    Raises:
        InvalidStateError: a name is taken, or the cluster is closing.
        NodePaused: the node is paused; the resources were added.
        Exception: what the ``open`` of a handler raised. A note of the exception gives the
            name of the resource.
    """
    added: list[Resource] = []
    try:
        for group in config.groups:
            for layer in config.start_order(group):
                for name in layer:
                    added.append(await _add(cluster, config.resources[name]))  # noqa: PERF401
    except Exception:
        with trio.move_on_after(_CLEANUP, shield=True):
            await trio.lowlevel.checkpoint()
            for resource in reversed(added):
                # The first error is the one that is raised.
                with contextlib.suppress(Exception):
                    await cluster.remove(resource.name)
        raise
    requested = tuple(resource for resource in added if config.resources[resource.name].autostart)
    if requested:
        # The request counts from the first step of online(); cancelled, the call only
        # stops waiting for the outcome.
        with trio.CancelScope() as waiting:
            waiting.cancel()
            await cluster.online(*(resource.name for resource in requested))
    return requested


async def _add(cluster: Cluster, config: ResourceConfig) -> Resource:
    try:
        return await cluster.add(
            config.name,
            config.handler,
            properties=config.properties,
            group=config.group,
            depends_on=config.depends_on,
            restart=config.restart,
            on_give_up=config.on_give_up,
            deadlines=config.deadlines,
            poll=config.poll,
        )
    except Exception as error:
        error.add_note(f"resource {config.name!r} could not be added")
        raise

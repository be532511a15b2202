"""Loading a cluster file into a cluster, as the command line does it.

For programs that keep their resources in a file::

    config = load_cluster_file("cluster.toml")
    async with open_cluster(shutdown_deadline=config.shutdown_deadline) as cluster:
        await load(cluster, config)
        await trio.sleep_forever()
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import trio

from ._types import find_type
from ._types import load_cluster_file as load_cluster_file

if TYPE_CHECKING:
    from .._cluster import Cluster, Resource
    from ._definition import ClusterConfig, ResourceConfig

_CLEANUP: Final = 30.0
"""Seconds to remove what was added, when something can not be."""


async def load(cluster: Cluster, config: ClusterConfig) -> tuple[Resource, ...]:
    """Add the resources of a cluster file to a cluster, and have them brought online.

    They are added group by group, providers before their dependents. Those with
    ``autostart``, and what they depend on, are then asked to come online; nobody waits
    for that here.

    If one can not be added, those that were are removed again. Cancellation leaves what
    has been added so far; nothing of it is online.

    Args:
        cluster: where to.
        config: what ``load_cluster_file`` has read.

    Returns:
        The resources with ``autostart``, in the order in which they were added.

    Raises:
        InvalidStateError: a name is taken, or the cluster is closing.
        NodePaused: the cluster takes nothing new; the resources were added.
        UnknownType: a resource type is not there any more.
        Exception: what the handler's ``open`` raised. A note of the exception says which
            resource it was.
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
                # The first error is the one that matters.
                with contextlib.suppress(Exception):
                    await cluster.remove(resource.name)
        raise
    wanted = tuple(one for one in added if config.resources[one.name].autostart)
    if wanted:
        # What counts is the wish. Cancelling the caller ends only the waiting.
        with trio.CancelScope() as waiting:
            waiting.cancel()
            await cluster.online(*(one.name for one in wanted))
    return wanted


async def _add(cluster: Cluster, config: ResourceConfig) -> Resource:
    try:
        return await cluster.add(
            config.name,
            find_type(config.type),
            properties=config.properties,
            group=config.group,
            depends_on=config.depends_on,
            restart=config.restart,
            deadlines=config.deadlines,
            poll=config.poll,
        )
    except Exception as error:
        error.add_note(f"resource {config.name!r} could not be added")
        raise

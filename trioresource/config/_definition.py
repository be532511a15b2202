"""What a cluster file defines, as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, final

import attrs

from .._model.dependencies import NO_DEPENDENCIES, Dependencies, start_order
from .._model.policy import Deadlines, PollIntervals, RestartPolicy
from ._types import HandlerClass

DEFAULT_GROUP: Final = "default"
"""The group of resources that name none."""


@final
@attrs.frozen(kw_only=True)
class GroupConfig:
    """A group: one that the cluster file describes, or one that its resources only name."""

    name: str
    description: str = ""
    autostart: bool = True
    """The default of ``autostart`` for the resources of the group."""
    line: int | None = attrs.field(default=None, eq=False)
    """Where the file describes it, counted from 1; None if it does not."""


@final
@attrs.frozen(kw_only=True)
class ResourceConfig:
    """A resource that the cluster file describes."""

    name: str
    type: str
    """The type as the file names it: a registered name or ``package.module:Class``."""
    handler: HandlerClass
    """The class that the type stands for."""
    group: str = DEFAULT_GROUP
    description: str = ""
    depends_on: Dependencies = NO_DEPENDENCIES
    properties: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    """The properties that the file sets, valid for the type. They may hold secrets, so
    ``repr()`` leaves them out."""
    deadlines: Deadlines | None = None
    """All deadlines, with those of the type where the file sets none. None if the file
    sets no deadline at all: those of the type hold."""
    poll: PollIntervals | None = None
    """The poll intervals that the file sets, the others None. None if the file sets no
    interval at all. What is None comes from the type."""
    restart: RestartPolicy = RestartPolicy()
    """The restart policy, with the documented defaults where the file sets nothing."""
    on_give_up: Literal["stay-failed", "raise"] = "stay-failed"
    """What to do when the budget of restarts is spent; as the cluster says where the resource
    sets nothing."""
    autostart: bool = True
    """Whether the resource is to be brought online when it has been added."""
    line: int | None = attrs.field(default=None, eq=False)
    """Where the file describes it, counted from 1."""


@final
@attrs.frozen(kw_only=True)
class ClusterConfig:
    """A cluster file that has been read and has no mistakes."""

    name: str = "cluster"
    store: str = "memory"
    """Where the state of the cluster is kept."""
    shutdown_deadline: float = 60.0
    """The longest time that the shutdown of the cluster may take, in seconds."""
    on_give_up: Literal["stay-failed", "raise"] = "stay-failed"
    """What to do when the budget of restarts of a resource is spent. The resources have it
    already, so ``open_cluster()`` needs it only for those that are added besides."""
    groups: Mapping[str, GroupConfig] = attrs.field(factory=dict)
    """All groups by name: those that the file describes, then those that resources name."""
    resources: Mapping[str, ResourceConfig] = attrs.field(factory=dict)
    """All resources by name, in the order of the file."""

    def members(self, group: str) -> dict[str, ResourceConfig]:
        """Find the resources of a group.

        Args:
            group: the name of the group.

        Returns:
            The resources by name, in the order of the file; none for an unknown group.
        """
        return {
            name: resource for name, resource in self.resources.items() if resource.group == group
        }

    def start_order(self, group: str) -> tuple[tuple[str, ...], ...]:
        """Work out the order in which the resources of a group come online.

        Args:
            group: the name of the group.

        Returns:
            Layers of names, providers before their dependents; within a layer, the order
            of the file. None for an unknown group.
        """
        return start_order(
            {name: resource.depends_on for name, resource in self.members(group).items()}
        )

"""High availability for Trio programs: resources with the lifecycle of failover clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._background_check import BackgroundCheck as BackgroundCheck
    from ._cluster import Applied as Applied
    from ._cluster import Cluster as Cluster
    from ._cluster import Group as Group
    from ._cluster import Health as Health
    from ._cluster import HealthStatus as HealthStatus
    from ._cluster import Resource as Resource
    from ._cluster import Subscription as Subscription
    from ._cluster import open_cluster as open_cluster
    from ._errors import ConfigError as ConfigError
    from ._errors import DependencyError as DependencyError
    from ._errors import InvalidStateError as InvalidStateError
    from ._errors import NodePaused as NodePaused
    from ._errors import OfflineFailed as OfflineFailed
    from ._errors import OnlineFailed as OnlineFailed
    from ._errors import PropertyError as PropertyError
    from ._errors import ProviderFailed as ProviderFailed
    from ._errors import ResourceGaveUp as ResourceGaveUp
    from ._errors import ResourceLocked as ResourceLocked
    from ._errors import ResourceNotAvailable as ResourceNotAvailable
    from ._errors import ResourceStuck as ResourceStuck
    from ._errors import TrioResourceError as TrioResourceError
    from ._errors import UnknownControlCode as UnknownControlCode
    from ._errors import UnknownType as UnknownType
    from ._handler import HandlerFactory as HandlerFactory
    from ._handler import OnlineScope as OnlineScope
    from ._handler import ResourceHandler as ResourceHandler
    from ._handler import ResourceType as ResourceType
    from ._handler import Service as Service
    from ._handler import resource_type as resource_type
    from ._handler import service as service
    from ._model.dependencies import Dependencies as Dependencies
    from ._model.events import ClusterEvent as ClusterEvent
    from ._model.events import GroupStateChange as GroupStateChange
    from ._model.events import Missed as Missed
    from ._model.events import RecoveryPlanned as RecoveryPlanned
    from ._model.policy import Backoff as Backoff
    from ._model.policy import Deadlines as Deadlines
    from ._model.policy import PollIntervals as PollIntervals
    from ._model.policy import RecoveryDecision as RecoveryDecision
    from ._model.policy import Restart as Restart
    from ._model.policy import RestartAction as RestartAction
    from ._model.policy import RestartPolicy as RestartPolicy
    from ._model.policy import StayFailed as StayFailed
    from ._model.properties import DEFAULT as DEFAULT
    from ._model.properties import NoProperties as NoProperties
    from ._model.properties import Properties as Properties
    from ._model.properties import dynamic as dynamic
    from ._model.properties import read_only as read_only
    from ._model.reports import AttemptEnded as AttemptEnded
    from ._model.reports import AttemptStuck as AttemptStuck
    from ._model.reports import CommandTaken as CommandTaken
    from ._model.reports import FailureReason as FailureReason
    from ._model.reports import FailureReport as FailureReport
    from ._model.reports import MonitorClosing as MonitorClosing
    from ._model.reports import ProbeInconclusive as ProbeInconclusive
    from ._model.reports import Progress as Progress
    from ._model.reports import Report as Report
    from ._model.reports import StateChange as StateChange
    from ._model.states import LEGAL_TRANSITIONS as LEGAL_TRANSITIONS
    from ._model.states import DesiredState as DesiredState
    from ._model.states import GroupState as GroupState
    from ._model.states import NodeState as NodeState
    from ._model.states import ResourceState as ResourceState
    from ._monitor import HostedResource as HostedResource
    from ._monitor import ResourceMonitor as ResourceMonitor
    from ._monitor import ResourceStatistics as ResourceStatistics
    from ._monitor import open_monitor as open_monitor

# Which names each module defines; they are loaded when the first of them is used. So
# `import trioresource` costs next to nothing, which matters because pytest imports this package in
# every run, for the plugin. Type checkers read the imports above; tests/test_exports.py holds both
# equal.
_DEFINED_IN = {
    "._background_check": "BackgroundCheck",
    "._cluster": "Applied Cluster Group Health HealthStatus Resource Subscription open_cluster",
    "._errors": (
        "ConfigError DependencyError InvalidStateError NodePaused OfflineFailed OnlineFailed "
        "PropertyError ProviderFailed ResourceGaveUp ResourceLocked ResourceNotAvailable "
        "ResourceStuck TrioResourceError UnknownControlCode UnknownType"
    ),
    "._handler": (
        "HandlerFactory OnlineScope ResourceHandler ResourceType Service resource_type service"
    ),
    "._model.dependencies": "Dependencies",
    "._model.events": "ClusterEvent GroupStateChange Missed RecoveryPlanned",
    "._model.policy": (
        "Backoff Deadlines PollIntervals RecoveryDecision Restart RestartAction RestartPolicy "
        "StayFailed"
    ),
    "._model.properties": "DEFAULT NoProperties Properties dynamic read_only",
    "._model.reports": (
        "AttemptEnded AttemptStuck CommandTaken FailureReason FailureReport MonitorClosing "
        "ProbeInconclusive Progress Report StateChange"
    ),
    "._model.states": "LEGAL_TRANSITIONS DesiredState GroupState NodeState ResourceState",
    "._monitor": "HostedResource ResourceMonitor ResourceStatistics open_monitor",
}

if not TYPE_CHECKING:  # To a type checker, a module with a __getattr__ has every name.
    __all__ = [name for names in _DEFINED_IN.values() for name in names.split()]

    def __getattr__(name: str) -> object:
        """Load all public names upon the first use of one of them.

        All at once: an error that a program never names must say in its traceback, too, where
        it can be imported from.
        """
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        from ._util.public_names import rewrite_module

        found = {
            public: getattr(import_module(module, __name__), public)
            for module, names in _DEFINED_IN.items()
            for public in names.split()
        }
        rewrite_module(found, __name__)
        globals().update(found)
        return found[name]

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})

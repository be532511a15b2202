"""Deterministic tests of concurrent Trio code: every interleaving, virtual time, exact replay.

The rooms, lowest first: ``_scheduling`` and ``_faults``; ``_report``, ``_leaks`` and
``_simulation``; ``_search``; ``_conformance`` and ``hypothesis``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._util.public_names import rewrite_module as _rewrite_module
from ._leaks import NoLeaks as NoLeaks
from ._leaks import no_leaks as no_leaks
from ._report.exploration import Exploration as Exploration
from ._report.schedule import Schedule as Schedule
from ._report.schedule import Step as Step
from ._scheduling.fake_process import FakeProcess as FakeProcess
from ._scheduling.findings import Deadlock as Deadlock
from ._scheduling.findings import Diverged as Diverged
from ._scheduling.findings import Leaked as Leaked
from ._scheduling.findings import Livelock as Livelock
from ._scheduling.findings import Uncontrolled as Uncontrolled
from ._scheduling.running import Scenario as Scenario
from ._scheduling.scenario import always as always
from ._scheduling.scenario import cancellable as cancellable
from ._scheduling.scenario import choose as choose
from ._scheduling.scenario import external as external
from ._scheduling.strategy import Strategy as Strategy
from ._search.exhaustive import Exhaustive as Exhaustive
from ._search.explore import explore as explore
from ._search.explore import explored as explored
from ._search.explore import replay as replay
from ._search.sweep import Sweep as Sweep
from ._search.sweep import SweepPoint as SweepPoint
from ._search.sweep import sweep as sweep

if TYPE_CHECKING:
    from ._conformance import CheckResult as CheckResult
    from ._conformance import ConformanceReport as ConformanceReport
    from ._conformance import HandlerConformance as HandlerConformance
    from ._conformance import Verdict as Verdict
    from ._conformance import check_handler as check_handler
    from ._conformance.subject import Kill as Kill
    from ._conformance.subject import Surroundings as Surroundings
    from ._faults import EntryPoint as EntryPoint
    from ._faults import Faults as Faults
    from ._faults import InjectedFault as InjectedFault
    from ._simulation import EventRecorder as EventRecorder
    from ._simulation import SimulatedCluster as SimulatedCluster
    from ._simulation import simulated_cluster as simulated_cluster

_rewrite_module(globals(), __name__)

# Loaded upon the first use of one of these names: they need the cluster and the monitor, which
# take five times as long to import as the search does.
_LOADED_LATE = {
    "CheckResult": "._conformance",
    "ConformanceReport": "._conformance",
    "HandlerConformance": "._conformance",
    "Verdict": "._conformance",
    "check_handler": "._conformance",
    "Kill": "._conformance.subject",
    "Surroundings": "._conformance.subject",
    "EntryPoint": "._faults",
    "Faults": "._faults",
    "InjectedFault": "._faults",
    "EventRecorder": "._simulation",
    "SimulatedCluster": "._simulation",
    "simulated_cluster": "._simulation",
}

if not TYPE_CHECKING:  # To a type checker, a module with a __getattr__ has every name.

    def __getattr__(name: str) -> object:
        if name not in _LOADED_LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        # All at once: an error that a program never names must say in its traceback, too, where
        # it can be imported from.
        found = {
            public: getattr(import_module(module, __name__), public)
            for public, module in _LOADED_LATE.items()
        }
        _rewrite_module(found, __name__)
        globals().update(found)
        return found[name]

    def __dir__() -> list[str]:
        return sorted({*globals(), *_LOADED_LATE})

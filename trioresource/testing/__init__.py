"""Deterministic tests of concurrent Trio code: every interleaving, virtual time, exact replay."""

from __future__ import annotations

from trioresource.testing.conformance import CheckResult as CheckResult
from trioresource.testing.conformance import ConformanceReport as ConformanceReport
from trioresource.testing.conformance import HandlerConformance as HandlerConformance
from trioresource.testing.conformance import Verdict as Verdict
from trioresource.testing.conformance import check_handler as check_handler
from trioresource.testing.exhaustive import Exhaustive as Exhaustive
from trioresource.testing.exploring import explore as explore
from trioresource.testing.exploring import explored as explored
from trioresource.testing.exploring import replay as replay
from trioresource.testing.fakes import FakeProcess as FakeProcess
from trioresource.testing.faults import Faults as Faults
from trioresource.testing.faults import InjectedFault as InjectedFault
from trioresource.testing.findings import Deadlock as Deadlock
from trioresource.testing.findings import Diverged as Diverged
from trioresource.testing.findings import Leaked as Leaked
from trioresource.testing.findings import Livelock as Livelock
from trioresource.testing.findings import Uncontrolled as Uncontrolled
from trioresource.testing.leaks import NoLeaks as NoLeaks
from trioresource.testing.leaks import no_leaks as no_leaks
from trioresource.testing.reporting import Exploration as Exploration
from trioresource.testing.scenario import always as always
from trioresource.testing.scenario import cancellable as cancellable
from trioresource.testing.scenario import choose as choose
from trioresource.testing.scenario import external as external
from trioresource.testing.schedule import Schedule as Schedule
from trioresource.testing.schedule import Step as Step
from trioresource.testing.simulation import EventRecorder as EventRecorder
from trioresource.testing.simulation import SimulatedCluster as SimulatedCluster
from trioresource.testing.simulation import simulated_cluster as simulated_cluster
from trioresource.testing.strategies import Strategy as Strategy
from trioresource.testing.sweeping import Sweep as Sweep
from trioresource.testing.sweeping import SweepPoint as SweepPoint
from trioresource.testing.sweeping import sweep as sweep

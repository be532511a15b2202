"""Any sequence of operations, in many schedules: Hypothesis and the kit against the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.lifecycle_model import run_on_cluster, run_on_monitor
from tests.lifecycle_model.clustering import EITHER
from tests.lifecycle_model.workloads import workloads
from trioresource import RestartPolicy
from trioresource.testing.hypothesis import explored_workload

if TYPE_CHECKING:
    from tests.lifecycle_model import Operation

BOTH = ("db", "web")
ALL = ("db", "web", "app")
PATIENT = RestartPolicy(threshold=2, period=60.0, delay=0.0, retry=1.5, stable_after=1.0)


@explored_workload(workloads(), examples=80, schedules=6)
async def test_a_resource_does_what_the_model_says(workload: list[Operation]) -> None:
    await run_on_monitor(workload)


@explored_workload(workloads(), examples=60, schedules=6, timers=True)
async def test_a_resource_on_a_slow_computer(workload: list[Operation]) -> None:
    await run_on_monitor(workload, punctual=False, detecting=True)


@explored_workload(workloads(), examples=40, schedules=5)
async def test_a_resource_whose_signals_are_trusted(workload: list[Operation]) -> None:
    await run_on_monitor(workload, trusting=True)


@explored_workload(workloads(BOTH, size=12, renewed=("web",)), examples=40, schedules=5)
async def test_a_cluster_does_what_the_model_says(workload: list[Operation]) -> None:
    await run_on_cluster(workload)


@explored_workload(workloads(BOTH, size=12), examples=20, schedules=5, timers=True)
async def test_a_cluster_on_a_slow_computer(workload: list[Operation]) -> None:
    await run_on_cluster(workload, punctual=False)


@explored_workload(workloads(BOTH, size=12), examples=25, schedules=5)
async def test_a_cluster_that_is_patient(workload: list[Operation]) -> None:
    """Failures count for long, unless a resource has been online for some time."""
    await run_on_cluster(workload, restart=PATIENT)


@explored_workload(workloads(ALL, size=12), examples=20, schedules=5)
async def test_a_cluster_with_a_choice_of_providers(workload: list[Operation]) -> None:
    await run_on_cluster(workload, layout=EITHER)


@explored_workload(workloads(BOTH, size=12, renewed=("web",)), examples=40, schedules=5)
async def test_a_cluster_whose_monitor_is_far_away(workload: list[Operation]) -> None:
    await run_on_cluster(workload, hosting="delayed")


@explored_workload(workloads(ALL, size=12), examples=20, schedules=5)
async def test_a_choice_of_providers_far_away(workload: list[Operation]) -> None:
    await run_on_cluster(workload, layout=EITHER, restart=PATIENT, hosting="delayed")


@explored_workload(workloads(BOTH, size=12), examples=20, schedules=5, timers=True)
async def test_far_away_and_on_a_slow_computer(workload: list[Operation]) -> None:
    await run_on_cluster(workload, punctual=False, hosting="delayed")

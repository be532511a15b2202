"""What users of clusters and monitors write. Only mypy and pyright read it: it need not run."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import TYPE_CHECKING, Any, assert_never, assert_type

import trio

import trioresource
from trioresource import (
    DEFAULT,
    Applied,
    AttemptEnded,
    AttemptStuck,
    Backoff,
    Cluster,
    ClusterEvent,
    Deadlines,
    Dependencies,
    DesiredState,
    FailureReason,
    FailureReport,
    Group,
    GroupState,
    GroupStateChange,
    Health,
    HealthStatus,
    HostedResource,
    Missed,
    NodeState,
    PollIntervals,
    ProbeInconclusive,
    Progress,
    RecoveryPlanned,
    Report,
    Resource,
    ResourceMonitor,
    ResourceNotAvailable,
    ResourceState,
    ResourceStatistics,
    Restart,
    RestartAction,
    RestartPolicy,
    StateChange,
    StayFailed,
    TrioResourceError,
    open_cluster,
    open_monitor,
    service,
)

if TYPE_CHECKING:
    from typing import Never


async def serve(*, task_status: trio.TaskStatus[int]) -> None:
    task_status.started(1)
    await trio.sleep_forever()


async def use_a_cluster() -> None:
    async with open_cluster(
        shutdown_deadline=60.0,
        history=100,
        stop_on_signals=True,
        on_give_up="raise",
        random=Random(1),
    ) as cluster:
        assert_type(cluster, Cluster)
        db = await cluster.add("db", service(serve), group="shop")
        web = await cluster.add(
            "web",
            service(serve),
            group="shop",
            depends_on=["db"],
            restart=RestartPolicy(
                action=RestartAction.RESTART, threshold=5, backoff=Backoff(factor=2.0)
            ),
            deadlines=Deadlines(pending=60.0),
            poll=PollIntervals(is_alive=5.0),
            on_give_up="stay-failed",
        )
        await cluster.add("api", service(serve), depends_on="[db] or [web]")
        await cluster.add("job", service(serve), depends_on=Dependencies((("db", "web"),)))
        assert_type(db, Resource)
        assert_type(await web.online(), ResourceState)
        assert_type(await web.offline(), ResourceState)
        assert_type(await web.wait_state(ResourceState.ONLINE, held_for=1.0), ResourceState)
        assert_type(await db.wait_online(), Any)
        assert_type(db.value, Any)
        assert_type(db.state, ResourceState)
        assert_type(db.desired, DesiredState)
        assert_type(db.epoch, int)
        assert_type(db.last_failure, FailureReport | None)
        assert_type(db.statistics(), ResourceStatistics)
        assert_type(cluster.node_state, NodeState)
        assert_type(cluster.resource("db"), Resource)
        assert_type(cluster.group("shop"), Group)
        assert_type(cluster.group("shop").state, GroupState)
        assert_type(cluster.resources, Mapping[str, Resource])
        assert_type(await cluster.online("shop"), Mapping[str, ResourceState])
        await cluster.wait_online("shop", "api")
        assert_type(cluster.health(), Health)
        assert_type(cluster.health().status, HealthStatus)
        assert_type(cluster.health().reasons, Mapping[str, str])
        assert_type(await db.set_properties(size=1, name=DEFAULT), Applied)
        assert_type(cluster.history("db"), tuple[ClusterEvent, ...])
        try:
            async with db.available() as pool:
                assert_type(pool, Any)
        except ResourceNotAvailable as error:
            show(error)
        with cluster.subscribe(buffer=10) as subscription:
            assert_type(tell(await subscription.receive()), str)


def show(error: TrioResourceError) -> None:
    pass


def tell(event: ClusterEvent | Missed) -> str:
    """Every kind of event can be told from the others, with types that can all be imported."""
    match event:
        case StateChange():
            return f"{event.old.value} -> {event.new.value}"
        case GroupStateChange():
            assert_type(event.new, GroupState)
            return event.group
        case FailureReport():
            assert_type(event.reason, FailureReason)
            return event.detail
        case RecoveryPlanned():
            return tell_decision(event)
        case Progress():
            assert_type(event.fraction, float | None)
            return event.message
        case ProbeInconclusive():
            return str(event.error)
        case AttemptStuck():
            return event.task_tree
        case Missed():
            return str(event.count)
        case _:
            assert_never(event)


def tell_decision(event: RecoveryPlanned) -> str:
    decision = event.decision
    match decision:
        case Restart():
            assert_type(decision.delay, float)
        case StayFailed():
            assert_type(decision.retry, float | None)
        case _:
            assert_never(decision)
    return f"failure {decision.failures}"


async def use_a_monitor() -> None:
    async with open_monitor() as monitor:
        assert_type(monitor, ResourceMonitor)
        hosted = await monitor.host("db", service(serve), deadlines=Deadlines(soft=0.1))
        assert_type(hosted, HostedResource)
        assert_type(await hosted.online(), ResourceState)
        report: Report = await monitor.reports.receive()
        if isinstance(report, AttemptEnded):
            assert_type(report.epoch, int)


def misspelt() -> Never:
    """Loading names late must not hide a name that does not exist."""
    raise trioresource.ResourceNotAvailible  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

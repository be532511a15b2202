"""What is concluded from events, without a cluster."""

from __future__ import annotations

from trioresource._cli.view import View
from trioresource._handler import ResourceHandler
from trioresource._model.dependencies import parse_dependencies
from trioresource._model.events import GroupStateChange, Missed, RecoveryPlanned
from trioresource._model.policy import Restart, StayFailed
from trioresource._model.reports import FailureReason, FailureReport, Progress, StateChange
from trioresource._model.states import GroupState, ResourceState
from trioresource.config import ClusterConfig, GroupConfig, ResourceConfig

OFFLINE = ResourceState.OFFLINE
ONLINE_PENDING = ResourceState.ONLINE_PENDING
ONLINE = ResourceState.ONLINE
OFFLINE_PENDING = ResourceState.OFFLINE_PENDING
FAILED = ResourceState.FAILED


def make(**dependencies: str) -> View:
    resources = {
        name: ResourceConfig(
            name=name,
            type="t",
            handler=ResourceHandler,
            depends_on=parse_dependencies(needed or None, owner=name),
        )
        for name, needed in dependencies.items()
    }
    return View(
        ClusterConfig(groups={"default": GroupConfig(name="default")}, resources=resources), 100.0
    )


def change(
    view: View, name: str, new: ResourceState, time: float, detail: str = "", epoch: int = 1
) -> None:
    view.take(StateChange(name, epoch, view.rows[name].state, new, time, detail))


def all_online(view: View) -> None:
    for name in view.rows:
        change(view, name, ONLINE_PENDING, 100.0)
        change(view, name, ONLINE, 101.0)


def test_an_outage_and_those_it_takes_along() -> None:
    view = make(db="", pool="db", web="[pool] or [cache]", cache="")
    all_online(view)
    assert view.headline() == "4 of 4 online"
    change(view, "db", FAILED, 110.0, "crashed")
    assert view.headline() == "3 of 4 online; failed: db"
    change(view, "pool", OFFLINE_PENDING, 110.1)
    change(view, "pool", OFFLINE, 110.2)
    change(view, "db", ONLINE_PENDING, 110.3)
    change(view, "cache", OFFLINE_PENDING, 110.4)
    change(view, "web", OFFLINE_PENDING, 110.5)
    for name in ("db", "pool"):
        change(view, name, ONLINE, 110.75)
    found = [(one.resource, one.began, one.ended, one.own, one.reason) for one in view.outages]
    assert found == [
        ("db", 110.0, 110.75, True, "crashed"),
        ("pool", 110.1, 110.75, False, "db failed"),
        ("cache", 110.4, None, False, "taken offline"),
        ("web", 110.5, None, False, "db failed"),
    ]
    assert view.summary() == [
        "What was down:",
        "  db     down at 10.000 s, online again after 750.0 ms: crashed",
        "  pool   down at 10.100 s, online again after 650.0 ms: db failed",
        "  cache  down at 10.400 s, not online again: taken offline",
        "  web    down at 10.500 s, not online again: db failed",
    ]


def test_going_offline_in_the_end_is_no_outage_but_failing_is_told() -> None:
    view = make(db="", web="db")
    all_online(view)
    view.ending = 200.0
    change(view, "web", OFFLINE_PENDING, 200.0)
    change(view, "web", FAILED, 201.0, "will not")
    view.take(FailureReport("web", 1, FailureReason.OFFLINE_RAISED, "will\nnot", 201.0))
    change(view, "db", OFFLINE_PENDING, 201.0)
    assert view.summary() == []
    assert view.failed_at_end == ["web: offline raised: will | not"]


def test_outages_are_bounded() -> None:
    view = make(db="")
    all_online(view)
    for time in range(1005):
        change(view, "db", FAILED, 200.0 + time)
        change(view, "db", ONLINE_PENDING, 200.1 + time)
        change(view, "db", ONLINE, 200.5 + time)
    summary = view.summary()
    assert len(summary) == 1 + 1000 + 1
    assert summary[0] == "What was down lately:"
    assert summary[-1] == "  and 5 times before"


def test_details() -> None:
    view = make(db="", web="[db]")
    row, web = view.rows["db"], view.rows["web"]
    assert view.detail(row) == ""
    change(view, "db", ONLINE_PENDING, 101.0)
    view.take(Progress("db", 1, "half\x1b", None, 101.0))
    assert view.detail(row) == "half\\x1b"
    change(view, "web", ONLINE_PENDING, 101.0, epoch=0)
    assert view.detail(web) == "waits for db (online-pending)"
    change(view, "db", FAILED, 102.0)
    view.take(FailureReport("db", 1, FailureReason.ONLINE_RAISED, "no", 102.0))
    for decision, expected in (
        (Restart(0.5, 1), "restart in 0.5 s (1 of 3)"),
        (StayFailed(60.0, 4), "stays failed, next try in 60 s"),
        (StayFailed(None, 4), "stays failed"),
    ):
        view.take(RecoveryPlanned("db", 1, decision, 102.0))
        assert view.detail(row) == f"online raised: no; {expected}"
    change(view, "db", ONLINE, 103.0)
    assert view.detail(row) == ""
    change(view, "db", OFFLINE_PENDING, 104.0)
    view.take(Progress("db", 1, "slowly", None, 104.0))
    assert view.detail(row) == "slowly"


def test_other_events_change_nothing() -> None:
    view = make(db="")
    view.take(Missed(3))
    view.take(GroupStateChange("default", GroupState.OFFLINE, GroupState.PENDING, 1.0))
    assert view.headline() == "0 of 1 online"


def test_many_failures_do_not_fill_the_headline() -> None:
    view = make(**{f"r{number}": "" for number in range(12)})
    for name in view.rows:
        change(view, name, ONLINE_PENDING, 100.0)
        change(view, name, FAILED, 101.0)
    assert view.headline().endswith("r8, r9 and 2 more")

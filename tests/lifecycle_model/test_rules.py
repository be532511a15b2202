"""One workload for each thing that a rule says, so that none depends on luck."""

from __future__ import annotations

import functools
from math import inf
from typing import Any, Final

import attrs
import pytest

from tests.lifecycle_model import (
    Ask,
    Behave,
    Do,
    Entry,
    Finish,
    Late,
    Manner,
    Operation,
    Renew,
    Say,
    Set,
    Wait,
    run_on_cluster,
    run_on_monitor,
)
from tests.lifecycle_model.clustering import EITHER, Hosting
from tests.lifecycle_model.hosting import DEADLINES
from trioresource import Deadlines, OnlineScope, ResourceHandler, open_cluster
from trioresource.testing import explore

ON, OFF, END = Do(Ask.ONLINE), Do(Ask.OFFLINE), Do(Ask.TERMINATE)
SCHEDULES: Final = 6

ON_A_MONITOR: Final[dict[str, list[Operation]]] = {
    "1 soft deadline cancels nothing": [Behave(Entry.ONLINE, takes=1.0), ON, Wait(2), OFF],
    "1 progress restarts the pending clock": [
        Behave(Entry.ONLINE, Manner.PROGRESS, 3.0),
        Behave(Entry.OFFLINE, Manner.PROGRESS, 3.0),
        ON,
        Wait(4),
        OFF,
        Wait(4),
    ],
    "1 pending deadline": [Behave(Entry.ONLINE, takes=4.0), ON, Wait(5), ON, Wait(5), OFF],
    "1 hanging offline": [ON, Behave(Entry.OFFLINE, takes=4.0), Wait(1), OFF, Wait(5)],
    "1 deadlock of a check": [ON, Behave(Entry.IS_ALIVE, takes=4.0), Wait(12)],
    "2 second online joins": [Behave(Entry.ONLINE, takes=0.5), ON, Wait(0.1), ON, ON, Wait(1), ON],
    "2 cancelled callers": [
        Behave(Entry.ONLINE, takes=0.5),
        Do(Ask.ONLINE, patience=0.1),
        Wait(1),
        Behave(Entry.OFFLINE, takes=0.5),
        Do(Ask.OFFLINE, patience=0.1),
        Wait(1),
    ],
    "3 terminate at any moment": [
        Behave(Entry.ONLINE, takes=0.5),
        ON,
        Wait(0.1),
        END,
        ON,
        END,
        Wait(1),
        ON,
        Wait(1),
        Behave(Entry.OFFLINE, takes=0.5),
        OFF,
        Wait(0.1),
        END,
        Do(Ask.TERMINATE, patience=0.0),
    ],
    "3 terminated by itself": [ON, Wait(1), Finish(terminating=True), Wait(1)],
    "3 clean-up takes time": [
        ON,
        Behave(None, takes=0.4),
        Behave(Entry.TERMINATE, takes=0.4),
        Wait(1),
        Do(Ask.TERMINATE, patience=0.1),
        END,
        Wait(0.1),
        ON,
        Wait(3),
    ],
    "3 stuck, refused and forgiven": [
        ON,
        Behave(None, takes=4.0),
        Wait(1),
        END,
        Wait(2),
        ON,
        OFF,
        Wait(8),
        Behave(None),
        ON,
    ],
    "3 online follows offline": [
        ON,
        Wait(1),
        Behave(Entry.OFFLINE, takes=0.5),
        OFF,
        Wait(0.1),
        ON,
        Wait(1),
        OFF,
    ],
    "4 late reports": [
        ON,
        Wait(1),
        OFF,
        Wait(1),
        Say(Ask.REPORT),
        Say(Ask.PROGRESS),
        ON,
        Wait(1),
        Late(Ask.REPORT),
        Late(Ask.PROGRESS),
        Wait(5),
    ],
    "4 failing what is over": [
        ON,
        Wait(1),
        Behave(None, takes=0.5),
        END,
        Wait(0.1),
        Say(Ask.FAIL),
        Wait(1),
    ],
    "5 signal denied": [ON, Wait(1), Say(Ask.REPORT), Wait(1), Say(Ask.REPORT), Wait(1), OFF],
    "5 signal confirmed": [ON, Behave(Entry.IS_ALIVE, Manner.DENY), Wait(1), Say(Ask.REPORT)],
    "5 signal that cannot be checked": [
        ON,
        Behave(Entry.IS_ALIVE, Manner.RAISE),
        Wait(1),
        Say(Ask.REPORT),
    ],
    "5 signal while coming online": [
        Behave(Entry.ONLINE, takes=0.2),
        Behave(Entry.IS_ALIVE, Manner.DENY),
        ON,
        Wait(0.1),
        Say(Ask.REPORT),
        Wait(1),
    ],
    "5 bad answer": [ON, Behave(Entry.IS_ALIVE, Manner.DENY), Wait(6), ON, Wait(1)],
    "5 no answer": [ON, Behave(Entry.IS_ALIVE, Manner.RAISE), Wait(9)],
    "5 task that crashes": [ON, Wait(1), Finish(Manner.RAISE), Wait(1), ON, Wait(1), OFF],
    "5 task that returns": [ON, Wait(1), Finish(Manner.FINE), Wait(1), OFF],
    "5 clean-up that raises": [ON, Behave(None, Manner.RAISE), Wait(1), OFF, Wait(1), ON, END],
    "5 everything raises": [
        Behave(Entry.OFFLINE, Manner.RAISE),
        Behave(Entry.TERMINATE, Manner.RAISE),
        ON,
        Wait(1),
        OFF,
        Wait(1),
        Behave(Entry.ONLINE, Manner.RAISE),
        ON,
    ],
    "8 control beside everything": [
        Behave(Entry.CONTROL, takes=0.3),
        Behave(Entry.ONLINE, takes=0.1),
        Behave(Entry.IS_ALIVE, takes=0.1),
        Do(Ask.CONTROL),
        ON,
        Wait(0.5),
        Do(Ask.CONTROL),
        Wait(0.1),
        Say(Ask.REPORT),
        Wait(1),
        Do(Ask.CONTROL),
        Wait(0.1),
        OFF,
        Do(Ask.CONTROL),
        Wait(1),
    ],
    "8 looks_alive waits for its turn": [
        Behave(Entry.CONTROL, takes=2.5),
        ON,
        Wait(0.5),
        Do(Ask.CONTROL),
        Wait(4),
    ],
    "9 properties": [
        Set(1),
        ON,
        Wait(1),
        Set(2),
        Say(Ask.REPORT),
        Wait(1),
        OFF,
        Wait(1),
        ON,
        Wait(1),
        Set(3),
        END,
    ],
    "10 stuck to the instant": [
        ON,
        Behave(Entry.TERMINATE, Manner.STUBBORN, 4.0),
        Wait(1),
        END,
        Wait(6),
    ],
}

DB, WEB = Do(Ask.ONLINE, "db"), Do(Ask.ONLINE, "web")
FAIL_DB, FAIL_WEB = Say(Ask.FAIL, "db"), Say(Ask.FAIL, "web")

ON_A_CLUSTER: Final[dict[str, list[Operation]]] = {
    "providers first": [Behave(Entry.ONLINE, takes=0.5, resource="db"), WEB, Wait(2)],
    "dependents first": [
        WEB,
        Wait(1),
        Behave(Entry.OFFLINE, takes=0.5, resource="web"),
        Do(Ask.OFFLINE, "db"),
        Wait(2),
        DB,
        Wait(2),
    ],
    "6 restart": [WEB, Wait(1), FAIL_WEB, Wait(1), FAIL_DB, Wait(3)],
    "6 offline during the delay": [
        WEB,
        Wait(1),
        FAIL_WEB,
        Wait(0.1),
        Do(Ask.OFFLINE, "web"),
        Wait(1),
        WEB,
        Wait(0.2),
        FAIL_WEB,
        Wait(0.4),
        Do(Ask.OFFLINE, "web"),
        Wait(0.1),
        WEB,
        Wait(2),
    ],
    "6 offline in the last instant": [WEB, Wait(1), FAIL_WEB, Wait(0.5), Do(Ask.OFFLINE, "web")],
    "6 failure while going offline": [
        WEB,
        Wait(1),
        Behave(Entry.OFFLINE, Manner.RAISE, resource="web"),
        Do(Ask.OFFLINE, "web"),
        Wait(2),
    ],
    "6 terminate during the delay": [DB, Wait(1), FAIL_DB, Wait(0.1), Do(Ask.TERMINATE, "db")],
    "7 budget": [DB, Wait(1), FAIL_DB, Wait(1), FAIL_DB, Wait(2), Wait(6), FAIL_DB, Wait(1)],
    "7 failures expire": [DB, Wait(1), FAIL_DB, Wait(4), FAIL_DB, Wait(4), FAIL_DB, Wait(1)],
    "7 a command renews the budget": [
        DB,
        Wait(1),
        FAIL_DB,
        Wait(1),
        FAIL_DB,
        Wait(1),
        DB,
        Wait(1),
        FAIL_DB,
        Wait(1),
        Do(Ask.OFFLINE, "db"),
        Wait(1),
        DB,
        Wait(1),
        FAIL_DB,
    ],
    "7 a command lifts a hold": [DB, Wait(1), FAIL_DB, Wait(0.1), DB, Wait(0.2), FAIL_DB, Wait(1)],
    "7 a hold is lifted in its last instant": [
        Behave(Entry.ONLINE, Manner.RAISE, resource="db"),
        DB,
        Wait(0.5),
        DB,
        Wait(0.5),
        DB,
        Wait(0.5),
        DB,
        Wait(2),
    ],
    "3 terminate, and online at once": [
        WEB,
        Wait(1),
        Do(Ask.TERMINATE, "db"),
        DB,
        Wait(0.2),
        DB,
        Do(Ask.TERMINATE, "db"),
        DB,
        Wait(2),
    ],
    "G2 online after a failure": [
        Behave(Entry.TERMINATE, takes=0.3, resource="db"),
        WEB,
        Wait(1),
        Finish(Manner.RAISE, "db"),
        DB,
        Wait(0.1),
        DB,
        Wait(3),
        Finish(Manner.RAISE, "db"),
        Wait(0),
        WEB,
        Wait(3),
    ],
    "G2 offline after a failure": [
        WEB,
        Wait(1),
        Finish(Manner.RAISE, "web"),
        Do(Ask.OFFLINE, "web"),
        Wait(1),
        WEB,
        Wait(1),
        Finish(Manner.RAISE, "db"),
        Wait(0),
        Do(Ask.OFFLINE, "db"),
        DB,
        Wait(3),
    ],
    "G3 online of what is up": [
        Behave(Entry.OFFLINE, takes=0.3, resource="web"),
        WEB,
        Wait(1),
        WEB,
        Say(Ask.FAIL, "db"),
        WEB,
        Wait(3),
        Behave(Entry.ONLINE, takes=0.5, resource="db"),
        Do(Ask.OFFLINE, "db"),
        WEB,
        Wait(0.1),
        WEB,
        Wait(0.6),
        Finish(Manner.RAISE, "db"),
        DB,
        DB,
        Wait(3),
    ],
    "G8 another one under the same name": [
        Behave(Entry.TERMINATE, takes=0.3, resource="web"),
        WEB,
        Wait(1),
        FAIL_WEB,
        Wait(1),
        FAIL_WEB,
        Renew("web"),
        *[Wait(0)] * 20,
        WEB,
        Wait(1),
        WEB,
        Wait(1),
        Do(Ask.OFFLINE, "web"),
        Wait(1),
        Renew("web"),
        *[Wait(0)] * 20,
        WEB,
        Renew("web"),
        Wait(1),
        Renew("db"),
        Do(Ask.TERMINATE, "web"),
        Wait(1),
        Do(Ask.TERMINATE, "web"),
        Renew("web"),
        Wait(2),
    ],
    "provider fails and comes back": [
        WEB,
        Wait(1),
        Finish(Manner.RAISE, "db"),
        Wait(0.2),
        Do(Ask.OFFLINE, "web"),
        WEB,
        Wait(3),
    ],
}


APP, ALL_OFF = Do(Ask.ONLINE, "app"), [Do(Ask.OFFLINE, name) for name in ("db", "web", "app")]

WITH_A_CHOICE: Final[dict[str, list[Operation]]] = {
    "either is enough": [
        APP,
        Wait(1),
        Do(Ask.OFFLINE, "db"),
        Wait(1),
        Do(Ask.OFFLINE, "web"),
        Wait(1),
        DB,
        Wait(1),
        *ALL_OFF,
        Wait(1),
    ],
    "G4 not the one that was given": [
        APP,
        Wait(1),
        FAIL_DB,
        Wait(2),
        FAIL_WEB,
        Wait(0.1),
        Say(Ask.FAIL, "app"),
        Wait(3),
        Finish(Manner.RAISE, "web"),
        Wait(2),
        Do(Ask.OFFLINE, "db"),
        Wait(2),
    ],
    "G4 only what there is": [
        Behave(Entry.ONLINE, takes=0.5, resource="web"),
        APP,
        Wait(2),
        FAIL_DB,
        Wait(2),
        Do(Ask.OFFLINE, "db"),
        Wait(1),
        DB,
        Wait(1),
        FAIL_WEB,
        Wait(3),
    ],
}


@pytest.mark.parametrize("rule", ON_A_MONITOR)
def test_on_a_monitor(rule: str) -> None:
    workload = ON_A_MONITOR[rule]
    explore(lambda: run_on_monitor(workload), schedules=SCHEDULES)
    explore(lambda: run_on_monitor(workload, punctual=False), schedules=SCHEDULES, timers=True)


@pytest.mark.parametrize("hosting", ["local", "delayed"])
@pytest.mark.parametrize("rule", ON_A_CLUSTER)
def test_on_a_cluster(rule: str, hosting: Hosting) -> None:
    run = functools.partial(run_on_cluster, ON_A_CLUSTER[rule], hosting=hosting)
    explore(run, schedules=SCHEDULES)
    explore(functools.partial(run, punctual=False), schedules=3, timers=True)


@pytest.mark.parametrize("hosting", ["local", "delayed"])
@pytest.mark.parametrize("rule", WITH_A_CHOICE)
def test_with_a_choice_of_providers(rule: str, hosting: Hosting) -> None:
    workload = WITH_A_CHOICE[rule]
    run = functools.partial(run_on_cluster, workload, layout=EITHER, hosting=hosting)
    explore(run, schedules=SCHEDULES)


def test_pending_is_capped_by_deadlock() -> None:
    deadlines = attrs.evolve(DEADLINES, pending=9.0, deadlock=2.0)
    workload: list[Operation] = [Behave(Entry.ONLINE, takes=4.0), ON, Wait(5)]
    explore(lambda: run_on_monitor(workload, deadlines=deadlines), schedules=SCHEDULES)


@pytest.mark.parametrize("trusting", [False, True])
@pytest.mark.parametrize(
    "rule", ["5 signal denied", "5 signal while coming online", "9 properties"]
)
def test_with_a_failure_source_of_its_own(rule: str, trusting: bool) -> None:
    async def scenario() -> None:
        await run_on_monitor(ON_A_MONITOR[rule], detecting=True, trusting=trusting)

    explore(scenario, schedules=SCHEDULES)


def test_resources_come_in_the_order_in_which_they_were_added() -> None:
    """Rule 11: nothing decides by the addresses of objects."""
    names = [f"r{number}" for number in range(12)]

    async def scenario() -> None:
        called: list[str] = []

        class Noted(ResourceHandler[Any]):
            async def online(self, scope: OnlineScope) -> None:
                called.append(f"{self.name} on")

            async def offline(self, scope: OnlineScope) -> None:
                called.append(f"{self.name} off")

        deadlines = Deadlines(pending=inf, deadlock=inf, terminate=inf)
        async with open_cluster() as cluster:
            for name in names:
                await cluster.add(name, Noted, deadlines=deadlines)
            await cluster.online()
        assert called == [f"{name} {what}" for what in ("on", "off") for name in names]

    explore(scenario, strategy="fifo")

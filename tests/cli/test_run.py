"""`trioresource run` with real clusters, as lines of text and of JSON."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING, Any

from trioresource._cli.exit_status import ExitStatus

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Call, ClusterFile, Start


PAIR = """
    [cluster]
    name = "pair"

    [resources.web]
    type = "TYPE:Good"
    group = "shop"
    depends_on = "db"

    [resources.db]
    type = "TYPE:Good"
    group = "shop"

    [resources.spare]
    type = "TYPE:Good"
    group = "shop"
    autostart = false
"""


def steps(out: str) -> list[str]:
    """The lines without their times and without what a name is filled up with."""
    return [re.sub(r"^ +\d+\.\d{3}s +", "", line).replace("    ", " ") for line in out.split("\n")]


def test_up_and_down_in_order(call: Call, cluster_file: ClusterFile) -> None:
    status, out, errors = call("run", cluster_file(PAIR), "--for", "0.5")
    assert (status, errors) == (0, "")
    lines = [re.sub(r"\s+", " ", step) for step in steps(out)]
    up = ["db online-pending -> online", "web online-pending -> online", "2 of 3 online"]
    down = ["going offline (0.5 s are over)", "web offline-pending -> offline"]
    down += ["db offline-pending -> offline", "[shop] pending -> offline"]
    assert [line for line in lines if line in up + down] == up + down
    assert "web offline -> online-pending (waits for db (online-pending))" in lines
    assert not any(line.startswith("spare") for line in lines)
    assert "was down" not in out


def test_lines_are_flushed_and_begin_with_the_time(start: Start, cluster_file: ClusterFile) -> None:
    running = start("run", cluster_file(PAIR))
    line = running.until("web .*-> online$")
    assert re.fullmatch(r" +\d+\.\d{3}s  web     online-pending -> online", line)
    running.send(signal.SIGTERM)
    running.until(r"going offline \(SIGTERM\)$")
    assert running.end() == (0, "")


def test_a_failure_is_told_and_recovered(start: Start, cluster_file: ClusterFile) -> None:
    file = """
        [resources.db]
        type = "TYPE:Once"
        restart = { delay = "20 ms" }

        [resources.web]
        type = "TYPE:Good"
        depends_on = "db"
    """
    running = start("run", cluster_file(file))
    running.until(r"db +online -> failed$")
    running.until(r"db +failed: a task crashed: .*ValueError")
    running.until(r"db +restart in 0\.02 s \(1 of 3\)$")
    running.until(r"web +online-pending -> online$")
    running.send(signal.SIGINT)
    assert running.end() == (0, "")
    db, web = running.lines[running.lines.index("What was down:") + 1 :]
    assert re.match(r"  db   down at \d\.\d{3} s, online again after \d+\.\d ms: a task crash", db)
    assert re.match(r"  web  down at \d\.\d{3} s, online again after .*: db failed$", web)


def test_what_can_not_come_online(call: Call, cluster_file: ClusterFile) -> None:
    file = """
        [resources.db]
        type = "TYPE:Bad"
        restart = { action = "none" }

        [resources.web]
        type = "TYPE:Good"
        depends_on = "db"

        [resources.slow]
        type = "TYPE:Slow"
    """
    status, out, _ = call("run", cluster_file(file), "--for", "0.6")
    assert status == ExitStatus.FAILED
    lines = [re.sub(r"\s+", " ", step) for step in steps(out)]
    assert any(re.match(r"db failed: online raised: .*no \| luck \\x1b\[31m", one) for one in lines)
    assert "db stays failed" in lines
    assert "slow 50% half of it" in lines
    assert "db was failed, not online" in lines
    assert "web was offline, not online" in lines
    assert "slow was online-pending, not online" in lines


GIVES_UP = """
    [cluster]
    on_give_up = "raise"

    [resources.db]
    type = "TYPE:Good"

    [resources.mail]
    type = "TYPE:Once"
    restart = { action = "none" }
"""


def test_what_gives_up_ends_the_run(start: Start, cluster_file: ClusterFile) -> None:
    running = start("run", cluster_file(GIVES_UP))
    running.until(r"mail +stays failed$")
    running.until(r"db +offline-pending -> offline$")
    assert running.end() == (ExitStatus.FAILED, "")
    assert any(line.endswith("going offline (a resource gave up)") for line in running.lines)
    last = running.lines[-1]
    assert re.fullmatch(r"mail gave up after 1 failure: a task crashed: .*ValueError.*", last)
    assert sum("mail" in line for line in running.lines if "gave up" in line) == 1
    assert not any(line.endswith(", not online") for line in running.lines)


def test_json_of_what_gives_up(call: Call, cluster_file: ClusterFile) -> None:
    status, out, errors = call("run", cluster_file(GIVES_UP), "--json")
    assert (status, errors) == (ExitStatus.FAILED, "")
    (mistake,) = json.loads(out.splitlines()[-1])["mistakes"]
    assert mistake.startswith("mail gave up after 1 failure: ")


def test_a_resource_that_may_give_up(call: Call, cluster_file: ClusterFile) -> None:
    file = GIVES_UP + '    on_give_up = "stay-failed"\n'
    status, out, _ = call("run", cluster_file(file), "--for", "0.6")
    assert status == ExitStatus.FAILED
    assert "mail was failed, not online" in out


def test_who_interrupts_a_start_takes_it_as_it_is(start: Start, cluster_file: ClusterFile) -> None:
    running = start("run", cluster_file('[resources.slow]\ntype = "TYPE:Slow"\n'))
    running.until("half of it")
    running.send(signal.SIGHUP)
    running.until(r"going offline \(SIGHUP\)")
    assert running.end() == (0, "")


def test_a_second_signal_terminates(start: Start, cluster_file: ClusterFile) -> None:
    running = start("run", cluster_file('[resources.a]\ntype = "TYPE:Stays"\n'))
    running.until("pending -> online")
    running.send(signal.SIGINT)
    running.until("online -> offline-pending")
    running.send(signal.SIGTERM)
    running.until(r"terminating \(SIGTERM\)")
    status, _ = running.end()
    assert status == ExitStatus.FAILED
    assert running.lines[-1] == "terminated by SIGTERM"


def test_the_shutdown_deadline(call: Call, cluster_file: ClusterFile) -> None:
    file = """
        [cluster]
        shutdown_deadline = "100 ms"

        [resources.a]
        type = "TYPE:Stays"
    """
    status, out, _ = call("run", cluster_file(file), "--for", "0.3")
    assert status == ExitStatus.FAILED
    assert out.splitlines()[-1] == "terminated: not offline within 0.1 s"


def test_what_does_not_go_offline_in_good_order(call: Call, cluster_file: ClusterFile) -> None:
    status, out, _ = call(
        "run", cluster_file('[resources.a]\ntype = "TYPE:BadOffline"\n'), "--for", "0.3"
    )
    assert status == ExitStatus.FAILED
    assert re.match("a: offline raised: .*will not", out.splitlines()[-1])


def test_what_can_not_be_opened(call: Call, cluster_file: ClusterFile) -> None:
    file = PAIR + '\n[resources.worse]\ntype = "TYPE:BadOpen"\n'.replace("\n", "\n    ")
    status, out, _ = call("run", cluster_file(file))
    assert status == ExitStatus.FAILED
    last = out.splitlines()[-1]
    assert last == "resource 'worse' could not be added: RuntimeError: cannot be opened"


def test_a_bad_file_starts_nothing(call: Call, cluster_file: ClusterFile) -> None:
    file = cluster_file(PAIR + '\n    [resources.x]\n    type = "TYPE:Absent"\n    colour = 3\n')
    status, out, errors = call("run", file)
    assert (status, out) == (ExitStatus.CLUSTER_FILE, "")
    first, *mistakes = errors.splitlines()
    assert first == f"{file} has 2 mistakes:"
    assert "Absent" in mistakes[0]
    assert "colour" in mistakes[1]
    assert call("run", "nowhere.toml")[0] == ExitStatus.CLUSTER_FILE


def test_an_empty_cluster_is_one(start: Start, cluster_file: ClusterFile) -> None:
    running = start("run", cluster_file(""))
    running.until("0 of 0 online")
    running.send(signal.SIGINT)
    assert running.end() == (0, "")


def test_json(start: Start, cluster_file: ClusterFile) -> None:
    file = """
        [cluster]
        name = "json"

        [resources.db]
        type = "TYPE:Once"
        restart = { delay = 0.01, threshold = 1 }

        [resources.bad]
        type = "TYPE:Bad"
        restart = { threshold = 0, retry = 60 }

        [resources.slow]
        type = "TYPE:Slow"
        autostart = false
    """
    running = start("run", cluster_file(file), "--json")
    running.until('"db", "epoch": 2, "old": "online-pending", "new": "online"')
    if not any('"event": "ready"' in line for line in running.lines):
        running.until('"event": "ready"')
    running.send(signal.SIGINT)
    assert running.end()[0] == ExitStatus.FAILED
    found: list[dict[str, Any]] = [json.loads(line) for line in running.lines]
    times = [one["time"] for one in found if one["event"] != "outage"]
    assert all(time >= 0 for time in times)
    first, last = found[0], found[-1]
    assert first["event"] == "started"
    assert (first["cluster"], first["pid"]) == ("json", running.process.pid)
    assert first["resources"] == ["db", "bad", "slow"]
    assert last == {
        "event": "ended",
        "time": last["time"],
        "status": 1,
        "mistakes": ["bad was failed, not online"],
    }

    def only(event: str, resource: str) -> list[dict[str, Any]]:
        return [one for one in found if one["event"] == event and one.get("resource") == resource]

    failure = only("failure", "db")[0]
    assert (failure["epoch"], failure["reason"]) == (1, "task-crashed")
    assert "once" in failure["detail"]
    keys = {"action": "restart", "delay": 0.01, "failures": 1, "threshold": 1}
    assert keys.items() <= only("recovery", "db")[0].items()
    keys = {"action": "stay-failed", "retry": 60.0, "failures": 1, "threshold": 0}
    assert keys.items() <= only("recovery", "bad")[0].items()
    ways = [(one["old"], one["new"]) for one in only("state", "db")]
    assert ways[:3] == [
        ("offline", "online-pending"),
        ("online-pending", "online"),
        ("online", "failed"),
    ]
    assert {"group": "default", "old": "offline", "new": "pending"}.items() <= next(
        one for one in found if one["event"] == "group"
    ).items()
    # It may have failed by then.
    assert next(one for one in found if one["event"] == "ready")["online"] in (["db"], [])
    stopping = next(one for one in found if one["event"] == "stopping")
    assert (stopping["reason"], stopping["terminating"]) == ("SIGINT", False)
    assert 0 < only("outage", "db")[0]["seconds"] < 30
    assert only("outage", "bad")[0]["seconds"] is None


def test_json_of_progress(start: Start, cluster_file: ClusterFile) -> None:
    running = start("run", cluster_file('[resources.slow]\ntype = "TYPE:Slow"\n'), "--json")
    progress = json.loads(running.until("progress"))
    assert (progress["message"], progress["fraction"]) == ("half of it", 0.5)
    running.send(signal.SIGINT)
    assert running.end() == (0, "")


def test_the_cluster_goes_on_when_its_reader_has_gone(
    start: Start, cluster_file: ClusterFile, tmp_path: Path
) -> None:
    """It is there for its resources, not for its output."""
    file = f"""
        [resources.a]
        type = "trioresource.resources.process:Process"
        properties = {{ command = ["sh", "-c", "read line < {tmp_path}/fifo"] }}
        restart = {{ delay = 0 }}
    """
    os.mkfifo(tmp_path / "fifo")
    running = start("run", cluster_file(file))
    running.until("-> online$")
    assert running.process.stdout is not None
    running.process.stdout.close()
    # To open the pipe waits for the process, and a line lets it end: it has failed.
    (tmp_path / "fifo").write_text("go\n")
    # It is restarted, although nothing reads the output.
    (tmp_path / "fifo").write_text("go\n")
    running.send(signal.SIGINT)
    assert running.process.wait(30) == 0
    assert running.process.stderr is not None
    assert "no longer shown" in running.process.stderr.read()
    running.process.stdout = None

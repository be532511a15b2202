"""`trioresource check`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from trioresource._cli.exit_status import ExitStatus

if TYPE_CHECKING:
    from .conftest import Call, ClusterFile


GOOD = """
    [cluster]
    name = "shop"

    [resources.web]
    type = "TYPE:Good"
    depends_on = ["db", "cache"]

    [resources.db]
    type = "TYPE:Good"

    [resources.cache]
    type = "TYPE:Good"
    autostart = false

    [groups.spare]
"""
WRONG = """
    [resources.web]
    type = "TYPE:Godo"
    depends_on = "dbb"

    [resources.db]
    type = "TYPE:Good"
    autostart = 3
"""


def test_the_order(call: Call, cluster_file: ClusterFile) -> None:
    file = cluster_file(GOOD)
    assert call("check", file) == (
        0,
        f"{file} has no mistakes\n"
        "cluster shop, in the order of coming online:\n"
        "  group spare (empty)\n"
        "  group default\n"
        "    1. db, cache (no autostart)\n"
        "    2. web",
        "",
    )


def test_the_order_as_json(call: Call, cluster_file: ClusterFile) -> None:
    file = cluster_file(GOOD)
    status, out, _ = call("check", file, "--json")
    assert status == 0
    assert json.loads(out) == {
        "file": file,
        "mistakes": [],
        "cluster": "shop",
        "groups": {"spare": [], "default": [["db", "cache"], ["web"]]},
        "autostart": ["web", "db"],
    }


def test_all_mistakes(call: Call, cluster_file: ClusterFile) -> None:
    file = cluster_file(WRONG)
    status, out, _ = call("check", file)
    assert status == ExitStatus.CLUSTER_FILE
    first, *mistakes = out.splitlines()
    assert first == f"{file} has 3 mistakes:"
    for mistake, expected in zip(
        mistakes,
        (
            ":3: [resources.web] type: ",
            ":4: [resources.web] depends_on: ",
            ":8: [resources.db] autostart: ",
        ),
        strict=True,
    ):
        assert mistake.startswith(f"  {file}{expected}")


def test_all_mistakes_as_json(call: Call, cluster_file: ClusterFile) -> None:
    status, out, _ = call("check", cluster_file(WRONG), "--json")
    assert status == ExitStatus.CLUSTER_FILE
    assert [one["line"] for one in json.loads(out)["mistakes"]] == [3, 4, 8]


def test_a_file_that_is_not_there(call: Call) -> None:
    status, out, _ = call("check", "nowhere.toml")
    assert status == ExitStatus.CLUSTER_FILE
    assert "nowhere.toml: cannot be read: No such file" in out
    status, out, _ = call("check", "nowhere.toml", "--json")
    assert [one["line"] for one in json.loads(out)["mistakes"]] == [None]

"""What a cluster file means."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest

from trioresource._model.dependencies import Dependencies, parse_dependencies
from trioresource._model.policy import (
    Backoff,
    Deadlines,
    PollIntervals,
    RestartAction,
    RestartPolicy,
)
from trioresource.config import ClusterConfig, GroupConfig, ResourceConfig, parse_cluster_file
from trioresource.config._schema import keys_of

from .conftest import Disk, RootDisk, parse


def resource(text: str) -> ResourceConfig:
    """The one resource of which these are the lines."""
    (only,) = parse(f'[resources.a]\ntype = "plain"\n{text}').resources.values()
    return only


def test_empty_file_is_a_cluster_with_nothing_in_it() -> None:
    config = parse("")
    assert config == ClusterConfig()
    assert (config.name, config.store, config.shutdown_deadline) == ("cluster", "memory", 60)
    assert not config.groups
    assert not config.resources


def test_everything_there_is() -> None:
    config = parse(
        """
        [cluster]
        name = "demo"
        store = "memory"
        shutdown_deadline = "1 min"
        on_give_up = "raise"

        [groups.shop]
        description = "customers"
        autostart = false

        [resources.db]
        type = "disk"
        group = "shop"
        description = "the data"
        depends_on = "[a] or [b]"
        autostart = true
        on_give_up = "stay-failed"
        poll = { looks_alive = 5, is_alive = "1 min", failures = 2, window = 3 }
        deadlines = { soft = "500 ms", terminate = 3 }
        [resources.db.restart]
        action = "restart"
        threshold = 5
        period = "15 min"
        delay = 0
        retry = "never"
        backoff = { factor = 3, maximum = 10, jitter = 0.5 }
        stable_after = 60
        [resources.db.properties]
        device = "/dev/sdb"

        [resources.a]
        type = "plain"
        group = "shop"
        [resources.b]
        type = "plain"
        group = "shop"
        [resources.other]
        type = "root-disk"
        """
    )
    assert (config.name, config.shutdown_deadline) == ("demo", 60)
    assert config.groups == {
        "shop": GroupConfig(
            name="shop",
            description="customers",
            autostart=False,
        ),
        "default": GroupConfig(name="default"),
    }
    assert list(config.resources) == ["db", "a", "b", "other"]
    assert config.resources["db"] == ResourceConfig(
        name="db",
        type="disk",
        handler=Disk,
        group="shop",
        description="the data",
        depends_on=parse_dependencies("[a] or [b]", owner="db"),
        properties={"device": "/dev/sdb"},
        deadlines=Deadlines(soft=0.5, pending=20, deadlock=40, terminate=3),
        poll=PollIntervals(looks_alive=5, is_alive=60, failures=2, window=3),
        restart=RestartPolicy(
            action=RestartAction.RESTART,
            threshold=5,
            period=900,
            delay=0,
            retry=None,
            backoff=Backoff(factor=3, maximum=10, jitter=0.5),
            stable_after=60,
        ),
        on_give_up="stay-failed",
        autostart=True,
    )
    # As the cluster says, where the resource says nothing.
    assert config.resources["other"] == ResourceConfig(
        name="other", type="root-disk", handler=RootDisk, on_give_up="raise"
    )
    assert config.on_give_up == "raise"
    assert config.groups["shop"].line == 7
    assert config.groups["default"].line is None
    assert config.resources["db"].line == 11


def keys_in(table: dict[str, Any], path: tuple[str | int, ...] = ()) -> dict[str, list[str]]:
    """The keys that a document has in each of the tables that the file format knows."""
    found: dict[str, list[str]] = {}
    for key, value in table.items():
        by_name = path in [("groups",), ("resources",)]
        if not by_name:
            found.setdefault(".".join(map(str, path)), []).append(key)
        if isinstance(value, dict) and key != "properties":
            for place, keys in keys_in(value, (*path, "NAME" if by_name else key)).items():
                found[place] = [*dict.fromkeys([*found.get(place, []), *keys])]
    return found


def test_the_documentation_has_every_key_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cluster-file.md").read_text()
    example = (
        page.partition("## Every key there is")[2].partition("```toml\n")[2].partition("```")[0]
    )
    config = parse_cluster_file(example)
    db = config.resources["db"]
    assert db.deadlines == Deadlines()
    assert db.restart.backoff == Backoff(jitter=0.1)
    shown = keys_in(tomllib.loads(example))
    assert sorted(shown) == [
        "",
        "cluster",
        "groups.NAME",
        "resources.NAME",
        "resources.NAME.deadlines",
        "resources.NAME.poll",
        "resources.NAME.restart",
        "resources.NAME.restart.backoff",
    ]
    for place, keys in shown.items():
        path = tuple(place.split(".")) if place else ()
        assert sorted(keys) == sorted(keys_of(path)), place


def test_what_is_left_out_comes_from_the_type_and_the_defaults() -> None:
    plain = resource("")
    assert plain.deadlines is None
    assert plain.poll is None
    assert plain.restart == RestartPolicy()
    assert plain.autostart
    assert plain.depends_on == Dependencies()


def test_resources_start_as_their_group_says_unless_they_say_otherwise() -> None:
    config = parse(
        """
        [resources.follows]
        type = "plain"
        group = "idle"
        [resources.says]
        type = "plain"
        group = "idle"
        autostart = true
        [resources.other]
        type = "plain"
        autostart = false
        [groups.idle]
        autostart = false
        """
    )
    assert {name: one.autostart for name, one in config.resources.items()} == {
        "follows": False,
        "says": True,
        "other": False,
    }


def test_start_order_of_each_group() -> None:
    config = parse(
        """
        [resources.web]
        type = "plain"
        depends_on = ["db", "cache"]
        [resources.alone]
        type = "plain"
        group = "other"
        [resources.cache]
        type = "plain"
        depends_on = "db"
        [resources.db]
        type = "plain"
        """
    )
    assert config.start_order("default") == (("db",), ("cache",), ("web",))
    assert config.start_order("other") == (("alone",),)
    assert list(config.members("default")) == ["web", "cache", "db"]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("5", 5),
        ("0.25", 0.25),
        ("inf", math.inf),
        ('"500 ms"', 0.5),
        ('"300ms"', 0.3),
        ('" 1.5 s "', 1.5),
        ('"15 min"', 900),
        ('"6 h"', 21600),
    ],
)
def test_durations(written: str, seconds: float) -> None:
    deadlines = resource(f"deadlines = {{ pending = {written} }}").deadlines
    assert deadlines is not None
    assert deadlines.pending == seconds


def test_environment_variables_in_properties() -> None:
    config = parse(
        """
        [resources.a]
        type = "disk"
        [resources.a.properties]
        device = { from_env = "DEVICE" }
        [resources.a.properties.options]
        list = ["x", { from_env = "EMPTY" }]
        table = { from_env = "DEVICE", more = 1 }
        inner = { env = { from_env = "DEVICE" } }
        """,
        {"DEVICE": "/dev/x", "EMPTY": ""},
    )
    properties = config.resources["a"].properties
    assert properties == {
        "device": "/dev/x",
        "options": {
            "list": ["x", ""],
            "table": {"from_env": "DEVICE", "more": 1},
            "inner": {"env": "/dev/x"},
        },
    }
    assert "/dev/x" not in repr(config)

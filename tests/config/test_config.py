"""What a cluster file means."""

from __future__ import annotations

import math
from textwrap import dedent

import pytest

from trioresource._model.dependencies import Dependencies, parse_dependencies
from trioresource._model.policy import (
    Backoff,
    Deadlines,
    FailoverPolicy,
    PollIntervals,
    RestartAction,
    RestartPolicy,
)
from trioresource._model.properties import Properties
from trioresource.config import _definition as config_module
from trioresource.config._definition import (
    ClusterConfig,
    GroupConfig,
    ResourceConfig,
    TypeDescription,
    parse_cluster_file,
)

from .conftest import parse


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

        [groups.shop]
        description = "customers"
        failover = { threshold = 1, period = "6 h" }
        autostart = false

        [resources.db]
        type = "disk"
        group = "shop"
        description = "the data"
        depends_on = "[a] or [b]"
        autostart = true
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
            failover=FailoverPolicy(threshold=1, period=21600),
            autostart=False,
        ),
        "default": GroupConfig(name="default"),
    }
    assert list(config.resources) == ["db", "a", "b", "other"]
    assert config.resources["db"] == ResourceConfig(
        name="db",
        type="disk",
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
        autostart=True,
    )
    assert config.resources["other"] == ResourceConfig(name="other", type="root-disk")
    assert config.groups["shop"].line == 6
    assert config.groups["default"].line is None
    assert config.resources["db"].line == 11


class CommandProperties(Properties):
    command: list[str]
    environment: dict[str, str]


def test_the_example_of_the_documentation() -> None:
    documentation = config_module.__doc__
    assert documentation is not None
    _, _, rest = documentation.partition("::\n")
    example, _, _ = rest.partition("\nDurations")
    for name in ("disk", "mirror"):
        example += f'\n    [resources.{name}]\n    type = "process"\n    group = "shop"\n'
        example += f"    properties = {{ command = ['{name}'], environment = {{}} }}\n"
    config = parse_cluster_file(
        dedent(example),
        file="c.toml",
        resolve=lambda name: TypeDescription(name=name, properties_type=CommandProperties),
        environment={"DB_PASSWORD": "x"},
    )
    db = config.resources["db"]
    assert db.deadlines == Deadlines()
    assert db.restart.backoff == Backoff(jitter=0.1)
    assert db.properties["environment"] == {"PGPASSWORD": "x"}


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

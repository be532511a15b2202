"""The cluster file: what it means, and what is said about each kind of mistake."""

from __future__ import annotations

import math
import re
from textwrap import dedent
from typing import TYPE_CHECKING, Any, Self

import pytest
from pydantic import Field, model_validator

from trioresource.errors import ConfigError, UnknownType
from trioresource.model import config as config_module
from trioresource.model.config import (
    ClusterConfig,
    GroupConfig,
    ResourceConfig,
    TypeDescription,
    parse_cluster_file,
)
from trioresource.model.dependencies import Dependencies, parse_dependencies
from trioresource.model.policy import (
    Backoff,
    Deadlines,
    FailoverPolicy,
    PollIntervals,
    RestartAction,
    RestartPolicy,
)
from trioresource.model.properties import NoProperties, Properties

if TYPE_CHECKING:
    from collections.abc import Mapping


class DiskProperties(Properties):
    device: str
    size: int = 1
    options: dict[str, Any] = Field(default_factory=dict)


class RangeProperties(Properties):
    low: int
    high: int

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) is more than high ({self.high})")
        return self


TYPES = {
    "range": TypeDescription(name="range", properties_type=RangeProperties),
    "plain": TypeDescription(name="plain", properties_type=NoProperties),
    "disk": TypeDescription(
        name="disk",
        properties_type=DiskProperties,
        deadlines=Deadlines(pending=20, deadlock=40),
    ),
    "root-disk": TypeDescription(
        name="root-disk", properties_type=DiskProperties, property_defaults={"device": "/dev/sda"}
    ),
}


def resolve(name: str) -> TypeDescription:
    if name not in TYPES:
        raise UnknownType(f"no type is called {name!r}")
    return TYPES[name]


def parse(text: str, environment: Mapping[str, str] | None = None) -> ClusterConfig:
    return parse_cluster_file(
        dedent(text).lstrip("\n"), file="c.toml", resolve=resolve, environment=environment
    )


def mistakes(text: str, environment: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, environment)
    found = list(caught.value.mistakes)
    assert all(line in str(caught.value) for line in found)
    return found


def mistake(text: str, environment: Mapping[str, str] | None = None) -> str:
    (only,) = mistakes(text, environment)
    return only


def places(found: list[str]) -> list[str]:
    """Line, table and key of mistakes."""
    return [re.sub(r"^c\.toml:(\d+): (.*?): .*$", r"\1 \2", line) for line in found]


def resource(text: str) -> ResourceConfig:
    """The one resource of which these are the lines."""
    (only,) = parse(f'[resources.a]\ntype = "plain"\n{text}').resources.values()
    return only


# What a file means


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


# What is said about mistakes


def test_ten_mistakes_are_ten_lines_in_the_order_of_the_file() -> None:
    found = mistakes(
        """
        [resources.web]
        type = "disc"
        autostart = "yes"
        depends_on = "dbb"
        [resources.db]
        type = "disk"
        grup = "shop"
        deadlines = { pending = 0 }
        restart = { action = "restrat", period = "5 m" }
        properties = { size = "big" }
        [cluster]
        store = "etcd://localhost"
        """
    )
    assert places(found) == [
        "2 [resources.web] type",
        "3 [resources.web] autostart",
        "4 [resources.web] depends_on",
        "7 [resources.db] grup",
        "8 [resources.db] deadlines.pending",
        "9 [resources.db] restart.action",
        "9 [resources.db] restart.period",
        "10 [resources.db.properties] device",
        "10 [resources.db.properties] size",
        "12 [cluster] store",
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [("a = 1\na = 2\n", "2:6"), ("[resources.a\n", "1:13"), ("a = [", "1:6")],
)
def test_syntax_errors(text: str, place: str) -> None:
    assert mistake(text).startswith(f"c.toml:{place}: not TOML: ")


def test_syntax_error_without_a_place() -> None:
    assert mistake("a = " + "[" * 100_000) == (
        "c.toml: not TOML: arrays and inline tables are nested too deeply"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[resource.db]\n",
            "c.toml:1: resource: not known; did you mean 'resources'?"
            " known: cluster, groups, resources",
        ),
        ("x = 1\n", "c.toml:1: x: not known; known: cluster, groups, resources"),
        ("resources = 3\n", "c.toml:1: resources: must be a table, not 3"),
        ("[[resources]]\n", "c.toml:1: resources: must be a table, not an array"),
        ('[resources]\ndb = "x"\n', "c.toml:2: [resources] db: must be a table, not 'x'"),
        ("cluster = true\n", "c.toml:1: cluster: must be a table, not true"),
        ("groups.a = 2026-01-01\n", "c.toml:1: [groups] a: must be a table, not 2026-01-01"),
        (
            "[cluster]\nnmae = 'x'\n",
            "c.toml:2: [cluster] nmae: not known; did you mean 'name'?"
            " known: name, store, shutdown_deadline",
        ),
        ("[cluster]\nname = 5\n", "c.toml:2: [cluster] name: must be a string, not 5"),
        ("[cluster]\nstore = 5\n", "c.toml:2: [cluster] store: 5 is not known; known: memory"),
        (
            "[cluster]\n\nstore = 'sqlite:x'\n",
            "c.toml:3: [cluster] store: 'sqlite:x' is not known; known: memory",
        ),
        (
            "[cluster]\nshutdown_deadline = 0\n",
            "c.toml:2: [cluster] shutdown_deadline: must be greater than 0 seconds, not 0",
        ),
        (
            "[cluster]\nshutdown_deadline = nan\n",
            "c.toml:2: [cluster] shutdown_deadline: must be greater than 0 seconds, not nan",
        ),
        (
            "[groups.a]\nfailover = { treshold = 1 }\n",
            "c.toml:2: [groups.a] failover.treshold: not known; did you mean 'threshold'?"
            " known: threshold, period",
        ),
        (
            "[groups.a]\nfailover = 1\n",
            "c.toml:2: [groups.a] failover: must be a table, not 1",
        ),
        (
            "[groups.a.failover]\nthreshold = -1\n",
            "c.toml:2: [groups.a] failover.threshold: must be a whole number of at least 0, not -1",
        ),
        (
            "[groups.'x y']\ndescription = []\n",
            "c.toml:2: [groups.'x y'] description: must be a string, not an array",
        ),
        (
            "[groups.a]\nresources = {}\n",
            "c.toml:2: [groups.a] resources: not known; known: description, failover, autostart",
        ),
        (
            "[groups.a]\nautostart = 1\n",
            "c.toml:2: [groups.a] autostart: must be true or false, not 1",
        ),
    ],
)
def test_mistakes_in_cluster_and_groups(text: str, expected: str) -> None:
    assert mistake(text) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            'frobnicate = "x"',
            "frobnicate: not known; known: type, group, description, depends_on,"
            " properties, deadlines, poll, restart, autostart",
        ),
        ("description = {}", "description: must be a string, not a table"),
        ("autostart = 'on'", "autostart: must be true or false, not 'on'"),
        (
            "deadlines = { soft = '5 m' }",
            "deadlines.soft: '5 m' is not a duration; write a number of seconds, or a number with"
            ' ms, s, min or h, such as "500 ms" or "15 min"',
        ),
        (
            "deadlines = { soft = true }",
            "deadlines.soft: true is not a duration; write a number of seconds, or a number with"
            ' ms, s, min or h, such as "500 ms" or "15 min"',
        ),
        (
            "deadlines = { deadlock = -1.5 }",
            "deadlines.deadlock: must be greater than 0, not -1.5",
        ),
        ("deadlines = { terminate = nan }", "deadlines.terminate: must be greater than 0, not nan"),
        (
            "deadlines = { pnding = 1 }",
            "deadlines.pnding: not known; did you mean 'pending'?"
            " known: soft, pending, deadlock, terminate",
        ),
        ("poll = 5", "poll: must be a table, not 5"),
        ("poll = { is_alive = 0 }", "poll.is_alive: must be at least 0.01, not 0"),
        ("poll = { is_alive = inf }", "poll.is_alive: must be at most 1e+12, not inf"),
        (
            "poll = { failures = '2' }",
            "poll.failures: must be a whole number of at least 1, not '2'",
        ),
        (
            "poll = { failures = 3, window = 2 }",
            "poll.window: failures (3) can not be more than window (2)",
        ),
        (
            "restart = { action = 'restrat' }",
            "restart.action: 'restrat' is not known; did you mean 'restart'?"
            " known: none, restart, restart-and-fail-over",
        ),
        (
            "restart = { action = [] }",
            "restart.action: an array is not known; known: none, restart, restart-and-fail-over",
        ),
        (
            "restart = { threshold = 1.5 }",
            "restart.threshold: must be a whole number of at least 0, not 1.5",
        ),
        ("restart = { delay = inf }", "restart.delay: must be at most 1e+12, not inf"),
        (
            "restart = { retry = 'nevr' }",
            "restart.retry: 'nevr' is not a duration; write a number of seconds, or a number with"
            ' ms, s, min or h, such as "500 ms" or "15 min"; or "never", to stay failed',
        ),
        ("restart = { backoff = 2 }", "restart.backoff: must be a table, not 2"),
        (
            "restart = { backoff = { factor = 0.5 } }",
            "restart.backoff.factor: must be at least 1, not 0.5",
        ),
        (
            "restart = { backoff = { factor = '2' } }",
            "restart.backoff.factor: must be a number, not '2'",
        ),
        (
            "restart = { backoff = { jitter = 2 } }",
            "restart.backoff.jitter: must be at most 1, not 2",
        ),
        (
            "restart = { stabel_after = 1 }",
            "restart.stabel_after: not known; did you mean 'stable_after'?"
            " known: backoff, action, threshold, period, delay, retry, stable_after",
        ),
    ],
)
def test_mistakes_in_a_resource(line: str, expected: str) -> None:
    text = f'[resources.a]\ntype = "plain"\n\n{line}\n'
    assert mistake(text) == f"c.toml:4: [resources.a] {expected}"


def test_mistakes_in_nested_tables_with_headers_of_their_own() -> None:
    assert (
        mistake(
            """
        [resources.a]
        type = "plain"
        [resources.a.restart.backoff]
        factor = 2
        maximum = -1
        """
        )
        == "c.toml:5: [resources.a] restart.backoff.maximum: must be greater than 0, not -1"
    )


def test_missing_and_unknown_types() -> None:
    assert mistakes(
        """
        [resources.a]
        [resources.b]
        type = 5
        [resources.c]
        type = "x"
        properties = { any = "thing" }
        """
    ) == [
        'c.toml:1: [resources.a]: type is missing; write for example type = "process"',
        "c.toml:3: [resources.b] type: must be a string, not 5",
        "c.toml:5: [resources.c] type: no type is called 'x'",
    ]


@pytest.mark.parametrize("name", ["", " a", "a ", "a[0]", "a/b", "a\\tb"])
def test_names(name: str) -> None:
    rule = (
        " can not be a name; a name is not empty, has no control characters,"
        " brackets or slashes, and neither begins nor ends with a space"
    )
    shown = repr(name.replace("\\t", "\t"))
    text = f'[groups.g]\n[resources."{name}"]\ntype = "plain"\ngroup = "{name}"\n'
    resource_name, group = mistakes(text)
    assert resource_name.startswith("c.toml:2: [resources.")
    assert resource_name.endswith(f"]: {shown}{rule}")
    assert group == resource_name.replace(":2:", ":4:").replace("]:", "] group:")
    assert mistake(f'[groups."{name}"]').endswith(rule)


def test_variables_that_are_not_set() -> None:
    found = mistakes(
        """
        [resources.a]
        type = "disk"
        [resources.a.properties]
        size = { from_env = "SIZE" }
        devize = "x"
        [resources.a.properties.options]
        list = [
          1,
          { from_env = 5 },
        ]
        """,
        {"OTHER": ""},
    )
    assert len(found) == 4
    assert found[0].startswith("c.toml:3: [resources.a.properties] device: ")
    assert found[1] == (
        "c.toml:4: [resources.a.properties] size: the environment variable SIZE is not set;"
        " set it, or write the value here"
    )
    assert found[2].startswith("c.toml:5: [resources.a.properties] devize: ")
    assert found[3] == (
        "c.toml:9: [resources.a.properties] options.list.1:"
        " from_env must name an environment variable, not 5"
    )


def test_mistakes_in_properties_have_the_line_of_their_key() -> None:
    found = mistakes(
        """
        [resources.a]
        type = "root-disk"
        properties.device = [
          1,
        ]
        [resources.a.properties.options]
        x = 1
        [resources.b]
        type = "plain"
        [resources.b.properties]
        x = 1
        [resources.c]
        type = "disk"
        """
    )
    assert places(found) == [
        "3 [resources.a.properties] device",
        "11 [resources.b.properties] x",
        "12 [resources.c.properties] device",
    ]


def test_mistakes_of_several_properties_together() -> None:
    text = """
        [resources.a]
        type = "range"
        [resources.a.properties]
        low = {low}
        high = {{ from_env = "HIGH" }}
    """
    assert mistake(text.format(low=7), {"HIGH": "5"}) == (
        "c.toml:3: [resources.a.properties]: low (7) is more than high ($HIGH)"
    )
    assert places(mistakes(text.format(low=7))) == ["5 [resources.a.properties] high"]


def test_values_from_the_environment_are_not_shown() -> None:
    only = mistake(
        """
        [resources.a]
        type = "disk"
        [resources.a.properties]
        device = { from_env = "DEVICE" }
        size = { from_env = "SECRET" }
        """,
        {"SECRET": "hunter2", "DEVICE": "not"},
    )
    assert only.startswith("c.toml:5: [resources.a.properties] size: ")
    assert "'$SECRET' is not accepted" in only
    assert "hunter2" not in only


def test_all_properties_can_not_come_from_one_variable() -> None:
    text = '[resources.a]\ntype = "plain"\nproperties = { from_env = "X" }\n'
    assert places(mistakes(text, {"X": "{}"})) == ["3 [resources.a.properties] from_env"]


def test_each_mistake_is_one_line() -> None:
    def refuse(name: str) -> TypeDescription:
        raise UnknownType(f"{name} has a long\nhistory")

    with pytest.raises(ConfigError) as caught:
        parse_cluster_file('resources.a.type = "x"', file="c.toml", resolve=refuse)
    assert caught.value.mistakes == ("c.toml:1: [resources.a] type: x has a long history",)
    assert str(caught.value) == f"c.toml has 1 mistake:\n  {caught.value.mistakes[0]}"


def test_properties_that_are_no_table_are_one_mistake() -> None:
    assert mistake('[resources.a]\ntype = "disk"\nproperties = 5\n') == (
        "c.toml:3: [resources.a] properties: must be a table, not 5"
    )


def test_dependencies_that_can_not_be_read() -> None:
    assert mistakes(
        """
        [resources.a]
        type = "plain"
        depends_on = 5
        [resources.b]
        type = "plain"
        depends_on = ["c", 5]
        [resources.c]
        type = "plain"
        depends_on = "[a] and"
        [resources.d]
        type = "plain"
        depends_on = ["d"]
        """
    ) == [
        "c.toml:3: [resources.a] depends_on:"
        " must be a name, an expression or a list of names, not 5",
        "c.toml:6: [resources.b] depends_on: item 2 of the list is 5, which is no name",
        "c.toml:9: [resources.c] depends_on: '[a] and', column 8: expected a name in brackets"
        " before the end; allowed is an AND of OR sets, such as ([a] or [b]) and [c]",
        "c.toml:12: [resources.d] depends_on: d can not depend on itself",
    ]


def test_dependencies_that_can_not_be() -> None:
    assert mistakes(
        """
        [resources.web]
        type = "plain"
        depends_on = ["dbb", "far"]
        [resources.db]
        type = "plain"
        depends_on = "db: x"
        [resources."db: x"]
        type = "plain"
        depends_on = "[db]"
        [resources.far]
        type = "plain"
        group = "other"
        [resources."db: y"]
        type = "plain"
        depends_on = "nothing"
        """
    ) == [
        "c.toml:3: [resources.web] depends_on: it depends on 'dbb', which there is not;"
        " did you mean 'db'?",
        "c.toml:3: [resources.web] depends_on: it is in the group 'default' and can not depend on"
        " 'far' in the group 'other'; put both into one group",
        "c.toml:6: [resources.db] depends_on: the dependencies are circular: db -> db: x -> db",
        "c.toml:15: [resources.'db: y'] depends_on: it depends on 'nothing', which there is not",
    ]

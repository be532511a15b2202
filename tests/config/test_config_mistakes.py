"""What is said about each kind of mistake in a cluster file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from trioresource._errors import ConfigError, UnknownType
from trioresource.config import parse_cluster_file

from .conftest import mistake, mistakes, places

if TYPE_CHECKING:
    from trioresource._handler import ResourceHandler


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
            " known: name, store, shutdown_deadline, on_give_up",
        ),
        ("[cluster]\nname = 5\n", "c.toml:2: [cluster] name: must be a string, not 5"),
        ("[cluster]\nstore = 5\n", "c.toml:2: [cluster] store: 5 is not known; known: memory"),
        (
            "[cluster]\n\nstore = 'sqlite:x'\n",
            "c.toml:3: [cluster] store: 'sqlite:x' is not known; known: memory",
        ),
        (
            '[cluster]\non_give_up = "panic"\n',
            "c.toml:2: [cluster] on_give_up: 'panic' is not known; known: stay-failed, raise",
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
            "[groups.a]\nfailover = { threshold = 1 }\n",
            "c.toml:2: [groups.a] failover: not supported yet: a cluster has one node, so there is"
            " none to fail over to; remove this key",
        ),
        (
            "[groups.a]\n[groups.a.failover]\nthreshold = 1\n",
            "c.toml:2: [groups.a] failover: not supported yet: a cluster has one node, so there is"
            " none to fail over to; remove this key",
        ),
        (
            "[groups.'x y']\ndescription = []\n",
            "c.toml:2: [groups.'x y'] description: must be a string, not an array",
        ),
        (
            "[groups.a]\nresources = {}\n",
            "c.toml:2: [groups.a] resources: not known; known: description, autostart",
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
            " properties, deadlines, poll, restart, on_give_up, autostart",
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
            "poll.window: failures (3) cannot be more than window (2)",
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
        " cannot be a name; a name is not empty, has no control characters,"
        " brackets or slashes, and neither begins nor ends with a space"
    )
    shown = repr(name.replace("\\t", "\t"))
    text = f'[groups.g]\n[resources."{name}"]\ntype = "plain"\ngroup = "{name}"\n'
    resource_name, group = mistakes(text)
    assert resource_name.startswith("c.toml:2: [resources.")
    assert resource_name.endswith(f"]: {shown}{rule}")
    assert group == resource_name.replace(":2:", ":4:").replace("]:", "] group:")
    assert mistake(f'[groups."{name}"]').endswith(rule)


def test_each_mistake_is_one_line() -> None:
    def refuse(name: str) -> type[ResourceHandler[Any]]:
        raise UnknownType(f"{name} has a long\nhistory")

    with pytest.raises(ConfigError) as caught:
        parse_cluster_file('resources.a.type = "x"', file="c.toml", resolve=refuse)
    assert caught.value.mistakes == ("c.toml:1: [resources.a] type: x has a long history",)
    assert str(caught.value) == f"c.toml has 1 mistake:\n  {caught.value.mistakes[0]}"


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
        "c.toml:12: [resources.d] depends_on: a resource cannot depend on itself",
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
        "c.toml:3: [resources.web] depends_on: depends on unknown resource 'dbb';"
        " did you mean 'db'?",
        "c.toml:3: [resources.web] depends_on: depends on 'far', which is in group 'other'; this"
        " resource is in group 'default', and dependencies cannot cross groups: put both into one"
        " group",
        "c.toml:6: [resources.db] depends_on: the dependencies are circular: db -> db: x -> db",
        "c.toml:15: [resources.'db: y'] depends_on: depends on unknown resource 'nothing'",
    ]


def test_one_mistake_in_a_value_does_not_hide_another() -> None:
    """Not in the same value, and not in what other resources make of it."""
    assert mistakes(
        """
        [resources.a]
        type = "none such"
        group = 5
        depends_on = "[a] or [b]"
        [resources.c]
        type = "plain"
        autostart = "yes"
        depends_on = "a"
        deadlines = { soft = 0, pending = "x" }
        """
    ) == [
        "c.toml:2: [resources.a] type: no type is called 'none such'",
        "c.toml:3: [resources.a] group: must be a string, not 5",
        "c.toml:4: [resources.a] depends_on: a resource cannot depend on itself",
        "c.toml:4: [resources.a] depends_on: depends on unknown resource 'b'",
        "c.toml:7: [resources.c] autostart: must be true or false, not 'yes'",
        "c.toml:9: [resources.c] deadlines.soft: must be greater than 0, not 0",
        "c.toml:9: [resources.c] deadlines.pending: 'x' is not a duration; write a number of"
        ' seconds, or a number with ms, s, min or h, such as "500 ms" or "15 min"',
    ]


def test_names_that_pydantic_uses_itself() -> None:
    assert mistakes(
        """
        [resources."[key]"]
        type = "plain"
        [resources.a]
        type = "plain"
        "[key]" = 1
        model_config = 2
        [groups]
        "[key]" = 3
        """
    ) == [
        "c.toml:1: [resources.'[key]']: '[key]' cannot be a name; a name is not empty, has no"
        " control characters, brackets or slashes, and neither begins nor ends with a space",
        "c.toml:5: [resources.a] '[key]': not known; known: type, group, description, depends_on,"
        " properties, deadlines, poll, restart, on_give_up, autostart",
        "c.toml:6: [resources.a] model_config: not known; known: type, group, description,"
        " depends_on, properties, deadlines, poll, restart, on_give_up, autostart",
        "c.toml:8: [groups.'[key]']: '[key]' cannot be a name; a name is not empty, has no"
        " control characters, brackets or slashes, and neither begins nor ends with a space",
        "c.toml:8: [groups] '[key]': must be a table, not 3",
    ]

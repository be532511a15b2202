"""What is said about mistakes in the properties of a cluster file."""

from __future__ import annotations

import pytest

from trioresource._errors import ConfigError

from .conftest import mistake, mistakes, parse, places


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


def test_the_error_does_not_lead_to_values() -> None:
    """Pydantic's error holds them, also those of secrets: it must not be the context of ours."""
    text = '[resources.a]\ntype = "disk"\n[resources.a.properties]\ndevice = { from_env = "S" }\n'
    with pytest.raises(ConfigError) as caught:
        parse(f"{text}size = true\nnone = 1\n", {"S": "hunter2"})
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert "hunter2" not in repr(caught.value)


def test_all_properties_can_not_come_from_one_variable() -> None:
    text = '[resources.a]\ntype = "plain"\nproperties = { from_env = "X" }\n'
    assert places(mistakes(text, {"X": "{}"})) == ["3 [resources.a.properties] from_env"]


def test_properties_that_are_no_table_are_one_mistake() -> None:
    assert mistake('[resources.a]\ntype = "disk"\nproperties = 5\n') == (
        "c.toml:3: [resources.a] properties: must be a table, not 5"
    )


def test_paths_of_a_process_that_can_not_be() -> None:
    """What the system would refuse later is a mistake of the file, each with its key."""
    assert mistakes(
        r"""
        [resources.a]
        type = "process"
        [resources.a.properties]
        command = "true"
        directory = "/srv/a\u0000b"
        log_file = "/var/log/a\u0000b"
        [resources.b]
        type = "process"
        [resources.b.properties]
        command = "true"
        directory = ""
        log_file = ""
        """
    ) == [
        "c.toml:5: [resources.a.properties] directory: must not contain a null character",
        "c.toml:6: [resources.a.properties] log_file: must not contain a null character",
        "c.toml:11: [resources.b.properties] directory: '' is not accepted;"
        " allowed: text or none, length at least 1",
        "c.toml:12: [resources.b.properties] log_file: '' is not accepted;"
        " allowed: text or none, length at least 1",
    ]

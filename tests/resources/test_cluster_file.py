"""What the check of a cluster file says where properties of a type go wrong by themselves."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import field_validator

from trioresource._errors import ConfigError
from trioresource._handler import ResourceHandler, resource_type
from trioresource._model.properties import Properties
from trioresource.config import parse_cluster_file

if TYPE_CHECKING:
    from pathlib import Path


class OddProperties(Properties):
    table: str = "a"

    @field_validator("table")
    @classmethod
    def _is_known(cls, value: str) -> str:
        rows: dict[str, Any] = {"a": 1, "b": {}}
        rows[value]["column"]
        return value


@resource_type("odd")
class Odd(ResourceHandler[OddProperties]):
    """A type whose check has mistakes."""


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_cluster_file(text, file="c.toml")
    return list(caught.value.mistakes)


@pytest.mark.parametrize(
    ("value", "error"), [("none", "KeyError"), ("a", "TypeError"), ("b", "KeyError")]
)
def test_a_check_that_raises_what_it_should_not(
    value: str, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told as a mistake like any other, next to them; without its words, which may be secret."""
    monkeypatch.setitem(sys.modules, "sample", sys.modules[__name__])
    assert mistakes(
        f"""\
[resources.a]
type = "sample:Odd"
[resources.a.properties]
table = "{value}"
[resources.b]
type = "process"
properties = {{ command = "true", ready = {{ log = "a{{99999999999}}" }} }}
"""
    ) == [
        "c.toml:3: [resources.a.properties]: the check of type"
        f" {__name__}:Odd itself raised {error}",
        "c.toml:7: [resources.b.properties] ready.log: is not a regular expression:"
        " the repetition number is too large",
    ]


def test_a_service_whose_module_ends_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit('bye')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert mistakes(
        '[resources.a]\ntype = "service"\nproperties = { function = "leaves:f", args = [1] }\n'
    ) == [
        "c.toml:3: [resources.a.properties] function: leaves:f cannot be imported: SystemExit: bye"
    ]

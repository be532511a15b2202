from __future__ import annotations

import re
from textwrap import dedent
from typing import TYPE_CHECKING, Any, Self

import pytest
from pydantic import Field, model_validator

from trioresource._errors import ConfigError, UnknownType
from trioresource._handler import ResourceHandler, resource_type
from trioresource._model.policy import Deadlines
from trioresource._model.properties import (
    NoProperties,
    Properties,
)
from trioresource.config import ClusterConfig, parse_cluster_file
from trioresource.resources.process import Process

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
            raise ValueError(f"low ({self.low}) is more than\nhigh ({self.high})")
        return self


class Range(ResourceHandler[RangeProperties]):
    pass


class Plain(ResourceHandler[NoProperties]):
    pass


@resource_type("disk", deadlines=Deadlines(pending=20, deadlock=40))
class Disk(ResourceHandler[DiskProperties]):
    pass


@resource_type("root-disk", property_defaults={"device": "/dev/sda"})
class RootDisk(ResourceHandler[DiskProperties]):
    pass


TYPES: dict[str, type[ResourceHandler[Any]]] = {
    "range": Range,
    "plain": Plain,
    "process": Process,
    "disk": Disk,
    "root-disk": RootDisk,
}


def resolve(name: str) -> type[ResourceHandler[Any]]:
    if name not in TYPES:
        raise UnknownType(f"no type is called {name!r}")
    return TYPES[name]


def parse(text: str, environment: Mapping[str, str] | None = None) -> ClusterConfig:
    return parse_cluster_file(
        dedent(text).lstrip("\n"), file="c.toml", resolve=resolve, environment=environment or {}
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

from __future__ import annotations

import enum
import re
from textwrap import dedent
from typing import TYPE_CHECKING, Annotated, Any, Self

import pydantic
import pytest
from pydantic import AnyUrl, Field, SecretBytes, SecretStr, model_validator

from trioresource.errors import ConfigError, PropertyError, UnknownType
from trioresource.model.config import (
    ClusterConfig,
    TypeDescription,
    parse_cluster_file,
)
from trioresource.model.policy import Deadlines
from trioresource.model.properties import (
    NoProperties,
    Properties,
    dynamic,
    read_only,
    read_properties,
)
from trioresource.resources.process import ProcessProperties

if TYPE_CHECKING:
    from collections.abc import Mapping


class Login(Properties):
    user: str
    password: SecretStr


class Inner(pydantic.BaseModel):
    token: SecretStr
    size: int = 1


class Speed(enum.Enum):
    FAST = "fast"
    SLOW = "slow"


class Database(Properties):
    dsn: AnyUrl
    """Where the database is."""
    pool_size: Annotated[int, Field(ge=1, le=100), dynamic] = 10
    speed: Annotated[Speed, dynamic] = Speed.FAST
    password: Annotated[SecretStr, Field(min_length=8)] | None = None
    keys: list[SecretBytes] = Field(default_factory=list)
    login: Login | None = None
    node: Annotated[str, read_only] = "one"
    target: int | list[str] = 1
    labels: dict[str, str] = Field(default_factory=dict)


DSN = "postgresql://db.example/shop"


def property_mistakes(
    cls: type[Properties], *layers: Mapping[str, Any], owner: str = "db"
) -> list[str]:
    with pytest.raises(PropertyError) as caught:
        read_properties(cls, *layers, owner=owner)
    # Pydantic's error holds the values, also those of secrets.
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert all(line in str(caught.value) for line in caught.value.mistakes)
    return list(caught.value.mistakes)


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
    "process": TypeDescription(name="process", properties_type=ProcessProperties),
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

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated, Any

import pydantic
import pytest
from pydantic import AnyUrl, Field, SecretBytes, SecretStr

from trioresource._errors import PropertyError
from trioresource._model.properties import (
    Properties,
    dynamic,
    read_only,
    read_properties,
)

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

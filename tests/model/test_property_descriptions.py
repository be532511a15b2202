"""What is told of the properties of a type."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import pydantic
from pydantic import Field, SecretStr, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypeAliasType, TypedDict

from trioresource._model.properties import (
    NO_PROPERTIES,
    NoProperties,
    Properties,
    PropertyDescription,
    describe_properties,
    dynamic,
    read_only,
    read_properties,
    show,
)

from .conftest import Database, Inner, Speed


def test_a_description_holds_everything() -> None:
    assert describe_properties(Database)[:2] == (
        PropertyDescription(
            name="dsn",
            type="URL",
            required=True,
            default=None,
            bounds="",
            dynamic=False,
            read_only=False,
            secret=False,
            doc="Where the database is.",
        ),
        PropertyDescription(
            name="pool_size",
            type="whole number",
            required=False,
            default="10",
            bounds="at least 1, at most 100",
            dynamic=True,
            read_only=False,
            secret=False,
            doc="",
        ),
    )
    described = {one.name: one for one in describe_properties(Database)}
    assert list(described) == list(Database.model_fields)
    assert [name for name, one in described.items() if one.read_only] == ["node"]
    assert [name for name, one in described.items() if one.secret] == ["password", "keys", "login"]
    assert (repr(dynamic), repr(read_only)) == ("dynamic", "read_only")


class Everything(Properties):
    anything: Any = None
    flag: bool = True
    ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5
    mode: Literal["a", "b"] = "a"
    speed: Speed = Speed.SLOW
    path: Path = Path("/tmp")
    wait: datetime.timedelta = datetime.timedelta(minutes=1.5)
    ports: tuple[int, ...] = (1, 2)
    pair: tuple[int, str] = (1, "x")
    tags: frozenset[str] = frozenset({"b", "a"})
    table: dict[str, list[int]] = Field({"a": [1], "b": []})
    sequence: Sequence[str] = ()
    nested: Annotated[int, Field(ge=2)] | None = None
    code: Annotated[str, pydantic.StringConstraints(pattern="^x", min_length=2)] = "xy"
    even: Annotated[int, Field(multiple_of=2), Field(description="By two.")] = 0
    inner: Inner = Inner(token=SecretStr("hush"))
    nothing: NoProperties = NO_PROPERTIES
    made: str = Field(default_factory=lambda: "made")
    token: SecretStr = Field(cast("Any", "hush"))
    number: pydantic.Secret[int] = pydantic.Secret(7)
    empty: list[SecretStr] = Field([])
    url: str = "amqp://me:p@ss@host/x"
    any_list: list = Field([])  # type: ignore[type-arg]
    loop: Tree | None = None
    marked: Annotated[int, dynamic] | None = None


class Tree(pydantic.BaseModel):
    children: list[Tree] = []


Everything.model_rebuild()


def test_types_in_words() -> None:
    found = {
        one.name: (one.type, one.bounds, one.default) for one in describe_properties(Everything)
    }
    assert found == {
        "anything": ("anything", "", "none"),
        "flag": ("true or false", "", "true"),
        "ratio": ("number", "more than 0, less than 1", "0.5"),
        "mode": ("'a' or 'b'", "", "a"),
        "speed": ("'fast' or 'slow'", "", "slow"),
        "path": ("path", "", "/tmp"),
        "wait": ("duration", "", "90 s"),
        "ports": ("list of whole number", "", "1, 2"),
        "pair": ("list of whole number and text", "", "1, x"),
        "tags": ("set of text", "", "a, b"),
        "table": ("table of list of whole number", "", "a = 1, b = empty"),
        "sequence": ("list of text", "", "empty"),
        "nested": ("whole number or none", "at least 2", "none"),
        "code": ("text", "length at least 2, matching ^x", "xy"),
        "even": ("whole number", "a multiple of 2", "0"),
        "inner": ("table of token, size", "", "********"),
        "nothing": ("table of nothing", "", "empty"),
        "made": ("text", "", "computed"),
        "token": ("secret text", "", "********"),
        "number": ("secret whole number", "", "********"),
        "empty": ("list of secret text", "", "empty"),
        "url": ("text", "", "amqp://me:********@host/x"),
        "any_list": ("list of anything", "", "empty"),
        "loop": ("table of children or none", "", "none"),
        "marked": ("whole number or none", "", "none"),
    }
    described = {one.name: one for one in describe_properties(Everything)}
    assert described["even"].doc == "By two."
    assert described["marked"].dynamic


Nested = TypeAliasType("Nested", "list[Nested] | int")


class Opaque:
    """A type of which pydantic knows nothing."""


class Keys(TypedDict):
    pattern: str


class Unusual(Properties, arbitrary_types_allowed=True):
    """What JSON has no word for, or another one than people."""

    wait: Annotated[datetime.timedelta, Field(gt=datetime.timedelta(0))] = datetime.timedelta(1)
    since: Annotated[datetime.date | None, Field(ge=datetime.date(2020, 1, 1))] = None
    price: Annotated[Decimal, Field(ge=1)] = Decimal(3)
    url: pydantic.HttpUrl | None = None
    many: Annotated[list[Annotated[int, Field(ge=2)]], Field(max_length=9)] = Field([3])
    either: Annotated[int | str, Field(ge=1)] = 1
    nested: Nested = 1
    opaque: Opaque | None = None
    keys: Keys | None = None
    choice: Literal[True, 1, "x"] | None = 1
    default: dict[str, Any] = Field({"minimum": 3, "writeOnly": True})
    converted: Annotated[int, pydantic.PlainValidator(int)] = 1
    omitted: SkipJsonSchema[str] = "x"
    checked: int = 1
    at: Annotated[datetime.datetime, Field(lt=datetime.datetime(2020, 1, 1))]  # noqa: DTZ001
    only: Literal["x"] = "x"

    @pydantic.field_validator("checked", mode="plain")
    @classmethod
    def _check(cls, value: object) -> int:
        return int(str(value))


def test_unusual_types_in_words() -> None:
    found = {one.name: (one.type, one.bounds, one.secret) for one in describe_properties(Unusual)}
    assert found == {
        "wait": ("duration", "more than 0 s", False),
        "since": ("date or none", "at least 2020-01-01", False),
        "price": ("number", "at least 1", False),
        "url": ("URL or none", "scheme http or https", False),
        "many": ("list of whole number", "at least 2, length at most 9", False),
        "either": ("whole number or text", "at least 1", False),
        "nested": ("list of Nested or whole number", "", False),
        # What cannot be looked into might hold a secret.
        "opaque": ("Opaque or none", "", True),
        "keys": ("table of pattern or none", "", False),
        "choice": ("true or 1 or 'x' or none", "", False),
        "default": ("table of anything", "", False),
        "converted": ("whole number", "", False),
        "omitted": ("text", "", False),
        "checked": ("whole number", "", False),
        "at": ("date and time", "less than 2020-01-01 00:00:00", False),
        "only": ("'x'", "", False),
    }


class Child(Properties):
    children: list[Child] = Field([])
    level: Annotated[int, dynamic, WithJsonSchema({"type": "integer"})] = 1


def test_properties_that_contain_themselves() -> None:
    children, level = describe_properties(Child)
    assert (children.type, children.default) == ("list of table of children, level", "empty")
    assert level.dynamic


def test_values_in_words() -> None:
    shown = show(read_properties(Everything))
    assert shown["wait"] == "90 s"
    assert shown["token"] == shown["number"] == "********"
    assert shown["inner"] == "token = ********, size = 1"
    assert shown["url"] == "amqp://me:********@host/x"
    assert "hush" not in str(shown)
    database = read_properties(
        Database, {"dsn": "amqp://me:pa%2Fss@host/x", "keys": ["hush"], "speed": "slow"}
    )
    assert list(show(database).items())[:5] == [
        ("dsn", "amqp://me:********@host/x"),
        ("pool_size", "10"),
        ("speed", "slow"),
        ("password", "none"),
        ("keys", "********"),
    ]

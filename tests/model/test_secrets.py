"""Properties that hold secrets: no message and no view shows one."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Generic, NamedTuple, NewType, TypeVar, Union

import pydantic
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, PlainValidator, SecretBytes, SecretStr, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypeAliasType, TypedDict

from trioresource._errors import PropertyError
from trioresource._model.properties import Properties, describe_properties, read_properties, show

from .conftest import Inner


@dataclasses.dataclass
class Pair:
    token: SecretBytes


class Typed(TypedDict):
    token: SecretStr


Token = NewType("Token", SecretStr)
Tokens = TypeAliasType("Tokens", list[SecretStr])
T = TypeVar("T")
Several = TypeAliasType("Several", Union[T, list[T]], type_params=(T,))  # noqa: UP007 - a value


class Named(NamedTuple):
    token: SecretStr


@dataclasses.dataclass
class Holder(Generic[T]):
    held: T


class Converted(pydantic.BaseModel):
    token: Annotated[SecretStr, PlainValidator(SecretStr)]


class Counted(pydantic.BaseModel):
    count: pydantic.Secret[int]


class Secrets(Properties):
    plain: SecretStr
    optional: SecretStr | None = None
    many: list[SecretStr] = Field(default_factory=list)
    table: dict[str, SecretBytes] = Field(default_factory=dict)
    inner: Inner | None = None
    pair: Pair | None = None
    typed: Typed | None = None
    generic: pydantic.Secret[int] | None = None
    new: Token | None = None
    alias: Tokens | None = None
    several: Several[SecretStr] | None = None
    named: Named | None = None
    holder: Holder[SecretStr] | None = None
    bounded: Annotated[SecretStr, Field(max_length=3)] | None = None
    converted: Annotated[SecretStr, PlainValidator(SecretStr)] | None = None
    renamed: Annotated[SecretStr, WithJsonSchema({"type": "string"})] | None = None
    hidden: int | SkipJsonSchema[SecretStr] = 0
    plain_function: SecretStr | None = None
    left_out: SkipJsonSchema[SecretStr] | None = None
    late: Converted | None = None
    counted: list[Counted] = Field(default_factory=list)
    either: Union[int, SecretStr, None] = None  # noqa: UP007 - both spellings are met

    @pydantic.field_validator("plain_function", mode="plain")
    @classmethod
    def _check(cls, value: object) -> SecretStr:
        return SecretStr(str(value))


_SECRET = st.text("abcdefghijklmnopqrstuvwxyz", min_size=12, max_size=20)


def _anywhere(secret: str) -> st.SearchStrategy[Any]:
    leaves = st.sampled_from([secret, secret.encode(), SecretStr(secret), 0, None])
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(["token", "size", "other"]), inner, max_size=2)
            | inner.map(lambda value: (value,))
        ),
        max_leaves=4,
    )


@given(secret=_SECRET, data=st.data())
def test_no_message_and_no_view_ever_holds_a_secret(secret: str, data: st.DataObject) -> None:
    names = st.sampled_from(list(Secrets.model_fields))
    values = data.draw(st.dictionaries(names, _anywhere(secret), min_size=1))
    try:
        read = read_properties(Secrets, values, owner="x")
    except PropertyError as error:
        said = f"{error} {error.mistakes} {error!r}"
    else:
        said = f"{show(read)} {read} {read!r}"
    assert secret not in said


def test_every_way_to_hold_a_secret_is_seen() -> None:
    assert [one.name for one in describe_properties(Secrets) if not one.secret] == []


Late = TypeAliasType("Late", "SecretStr")


def test_what_can_not_be_looked_into_might_be_a_secret() -> None:
    class Local:
        pass

    @dataclasses.dataclass
    class Hidden:
        token: SecretStr
        local: Local

    class Holds(Properties, arbitrary_types_allowed=True):
        hidden: Hidden | None = None
        json_value: pydantic.JsonValue = None
        named: Late | None = None

    secret = {one.name: one.secret for one in describe_properties(Holds)}
    assert secret == {"hidden": True, "json_value": False, "named": True}

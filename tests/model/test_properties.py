from __future__ import annotations

import copy
import dataclasses
import datetime
import enum
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypeVar, Union, cast

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AnyUrl, Field, SecretBytes, SecretStr
from typing_extensions import TypeAliasType, TypedDict

from trioresource.errors import PropertyError
from trioresource.model.properties import (
    DEFAULT,
    NO_PROPERTIES,
    NoProperties,
    Properties,
    PropertyDescription,
    changed_names,
    check_changes,
    describe_properties,
    dynamic,
    is_dynamic,
    read_only,
    read_properties,
    show,
)


class Login(Properties):
    user: str
    password: SecretStr


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


def _mistakes(cls: type[Properties], *layers: Mapping[str, Any], owner: str = "db") -> list[str]:
    with pytest.raises(PropertyError) as caught:
        read_properties(cls, *layers, owner=owner)
    # Pydantic's error holds the values, also those of secrets.
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert all(line in str(caught.value) for line in caught.value.mistakes)
    return list(caught.value.mistakes)


# --- reading ---------------------------------------------------------------------------


def test_layers_overlay_each_other_from_the_weakest() -> None:
    read = read_properties(
        Database, {"pool_size": 20, "target": 5}, {"dsn": DSN, "target": 7}, owner="db"
    )
    assert (read.pool_size, read.target, read.speed) == (20, 7, Speed.FAST)
    assert str(read.dsn) == DSN


def test_values_are_frozen() -> None:
    read = read_properties(Login, {"user": "me", "password": "hush"})
    with pytest.raises(pydantic.ValidationError):
        read.user = "you"
    assert hash(read) == hash(read_properties(Login, {"user": "me", "password": "hush"}))
    assert pickle.loads(pickle.dumps(read)) == read


def test_a_type_without_properties_shares_one_instance() -> None:
    assert read_properties(NoProperties) is NO_PROPERTIES
    assert read_properties(NoProperties, {}, {}, owner="x") is NO_PROPERTIES
    assert show(NO_PROPERTIES) == {}
    assert describe_properties(NoProperties) == ()
    assert _mistakes(NoProperties, {}, {"a": 1}) == [
        "a: there is no such property; this type has none"
    ]


def test_the_layers_stay_as_they_are() -> None:
    layers: list[dict[str, Any]] = [{"node": "two", "labels": {"a": "b"}}, {"dsn": DSN}]
    before = copy.deepcopy(layers)
    read_properties(Database, *layers)
    assert layers == before


@pytest.mark.parametrize("layers", [(), ({},), ({}, {}), ({}, {}, {})])
def test_any_number_of_layers(layers: Sequence[Mapping[str, Any]]) -> None:
    assert _mistakes(Database, *layers) == ["dsn: is required and missing; allowed: AnyUrl"]


# --- mistakes --------------------------------------------------------------------------


def test_all_mistakes_at_once_in_the_order_of_definition() -> None:
    values = {
        "zzz": 1,
        "pool-size": 3,
        "labels": {"a": 1},
        "target": {"x": 1},
        "node": "mine",
        "login": {"user": "me", "passwort": "hush"},
        "keys": ["fine", 3],
        "password": "short",
        "speed": "medium",
        "pool_size": 500,
        "dsn": "nowhere",
    }
    lines = _mistakes(Database, values)
    assert lines == [
        "dsn: it should be a valid URL, relative URL without a base",
        "pool_size: 500 is not accepted; allowed: whole number, at least 1, at most 100",
        "speed: 'medium' is not accepted; allowed: 'fast' or 'slow'",
        "password: the value is not accepted; allowed: secret text or none, length at least 8",
        "keys.1: the value is not accepted; see the description of the property",
        "login.password: is required and missing",
        "login.passwort: there is no such key",
        "node: is read-only; leave it out, the type keeps it itself",
        "target: this table is not accepted; allowed: whole number or list of text",
        "labels.a: 1 is not accepted; it should be a valid string",
        "zzz: there is no such property; there are: dsn, pool_size, speed, password, keys, login,"
        " node, target, labels",
        "pool-size: there is no such property; did you mean 'pool_size'?",
    ]
    with pytest.raises(PropertyError) as caught:
        read_properties(Database, values, owner="db")
    assert str(caught.value) == "db: 12 mistakes in the properties:\n  " + "\n  ".join(lines)


def test_one_mistake_is_one_line() -> None:
    with pytest.raises(PropertyError) as caught:
        read_properties(Database, {"dsn": DSN, "Pool_Size": 1}, owner="db")
    assert (
        str(caught.value) == "db: Pool_Size: there is no such property; did you mean 'pool_size'?"
    )
    with pytest.raises(PropertyError, match=r"^Database: Pool_Size: "):
        read_properties(Database, {"dsn": DSN, "Pool_Size": 1})


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (1.5, "1.5"),
        (None, "none"),
        ("x", "'x'"),
        ("x" * 41, "this text"),
        ("me@example", "this text"),
        ([1], "this value"),
        ({}, "this table"),
    ],
)
def test_what_was_written_is_shown_if_it_is_short(value: object, shown: str) -> None:
    assert _mistakes(Database, {"dsn": DSN, "pool_size": value}) == [
        f"pool_size: {shown} is not accepted; allowed: whole number, at least 1, at most 100"
    ]


def test_the_members_of_a_union_make_one_mistake() -> None:
    class Choice(Properties):
        one: dict[str, int | bool] | list[int | bool] = Field(default_factory=dict)
        two: Login | Annotated[int, Field(gt=3)] = 4

    assert _mistakes(Choice, {"one": ["x", {"y": 1}], "two": {"user": "me"}}) == [
        "one: this value is not accepted; allowed: table of whole number or true or false or list"
        " of whole number or true or false",
        "one.0: 'x' is not accepted; it should be a valid integer, unable to parse string as an"
        " integer or it should be a valid boolean, unable to interpret input",
        "one.1: this table is not accepted; it should be a valid integer or it should be a valid"
        " boolean",
        "two.password: is required and missing",
        "two: the value is not accepted; allowed: table of user, password or whole number, more"
        " than 3",
    ]


class Checked(Properties):
    port: int = 80
    tls_port: int = 443
    token: SecretStr = SecretStr("hush-hush")
    path: str = "/"

    @pydantic.field_validator("path")
    @classmethod
    def _check_path(cls, value: str) -> str:
        if not value:
            raise ValueError
        if value == "token":
            raise ValueError("not a path: hush-hush")
        if "@" in value:
            raise ValueError(f"{value} has a host")
        return value

    @pydantic.field_validator("token")
    @classmethod
    def _check_token(cls, value: SecretStr) -> SecretStr:
        if len(value) < 4:
            raise ValueError(f"{value.get_secret_value()} is too short")
        return value

    @pydantic.model_validator(mode="after")
    def _check(self) -> Checked:
        if self.port == self.tls_port:
            raise ValueError("port and tls_port are the same")
        assert self.port > 0, f"token {self.token.get_secret_value()!r} needs a port"
        return self


def test_what_a_validator_of_the_type_says_is_told() -> None:
    assert _mistakes(Checked, {"port": 443}) == ["properties: port and tls_port are the same"]
    assert _mistakes(Checked, {"path": ""}) == ["path: is not accepted"]
    assert _mistakes(Checked, {"path": "ftp://me:pw@there/"}) == [
        "path: ftp://me:********@there/ has a host"
    ]


@pytest.mark.parametrize("secret", ["hush", 'say "it\'s"\n'])
def test_what_a_validator_says_of_a_secret_is_not_told(secret: str) -> None:
    assert _mistakes(Checked, {"token": secret, "port": 0}) == [
        "properties: is not accepted; the reason is not shown, as it holds a secret"
    ]
    assert _mistakes(Checked, {"token": secret[:3]}) == [
        "token: the value is not accepted; allowed: secret text"
    ]


class Inner(pydantic.BaseModel):
    token: SecretStr
    size: int = 1


@dataclasses.dataclass
class Pair:
    token: SecretBytes


class Typed(TypedDict):
    token: SecretStr


Token = NewType("Token", SecretStr)
Tokens = TypeAliasType("Tokens", list[SecretStr])
Late = TypeAliasType("Late", "SecretStr")
T = TypeVar("T")
Several = TypeAliasType("Several", Union[T, list[T]], type_params=(T,))  # noqa: UP007 - a value


class Named(NamedTuple):
    token: SecretStr


@dataclasses.dataclass
class Holder(Generic[T]):
    held: T


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
    either: Union[int, SecretStr, None] = None  # noqa: UP007 - both spellings are met


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


# --- read-only -------------------------------------------------------------------------


def test_read_only_properties_come_from_the_type_alone() -> None:
    of_type = {"node": "two"}
    assert read_properties(Database, of_type, {"dsn": DSN}).node == "two"
    refused = ["node: is read-only; leave it out, the type keeps it itself"]
    assert _mistakes(Database, of_type, {"dsn": DSN, "node": "three"}) == refused
    assert _mistakes(Database, {}, {"dsn": DSN, "node": "three"}) == refused
    assert _mistakes(Database, {"dsn": DSN, "node": "three"}) == refused


# --- changes ---------------------------------------------------------------------------


def test_changes_make_a_new_mapping() -> None:
    stored = {"dsn": DSN, "pool_size": 5}
    changes = {"pool_size": DEFAULT, "speed": "slow", "target": DEFAULT}
    assert check_changes(Database, stored, changes, owner="db") == {"dsn": DSN, "speed": "slow"}
    assert stored == {"dsn": DSN, "pool_size": 5}
    assert repr(DEFAULT) == "DEFAULT"
    assert pickle.loads(pickle.dumps(DEFAULT)) is DEFAULT


def test_no_change_is_a_copy() -> None:
    stored = {"dsn": DSN}
    changed = check_changes(Database, stored, {})
    assert changed == stored
    assert changed is not stored


def test_all_mistakes_of_changes_at_once() -> None:
    changes = {"nodes": 1, "unknown": DEFAULT, "node": "b", "pool_size": 0, "dsn": DEFAULT}
    with pytest.raises(PropertyError) as caught:
        check_changes(Database, {"dsn": DSN}, changes, owner="db")
    assert caught.value.mistakes == (
        "dsn: is required and missing; allowed: AnyUrl",
        "pool_size: 0 is not accepted; allowed: whole number, at least 1, at most 100",
        "node: is read-only; leave it out, the type keeps it itself",
        "nodes: there is no such property; did you mean 'node'?",
        "unknown: there is no such property; there are: dsn, pool_size, speed, password, keys,"
        " login, node, target, labels",
    )


def test_what_the_type_gives_need_not_be_stored() -> None:
    assert check_changes(Database, {}, {"pool_size": 5}, defaults={"dsn": DSN}) == {"pool_size": 5}
    assert check_changes(Database, {"dsn": DSN}, {"dsn": DEFAULT}, defaults={"dsn": DSN}) == {}


def test_what_an_older_type_left_behind_can_be_cleared() -> None:
    stored = {"dsn": DSN, "gone": 1, "node": "x"}
    with pytest.raises(PropertyError) as caught:
        check_changes(Database, stored, {"pool_size": 3})
    assert [line.partition(":")[0] for line in caught.value.mistakes] == ["node", "gone"]
    assert check_changes(Database, stored, {"gone": DEFAULT, "node": DEFAULT}) == {"dsn": DSN}


def test_a_read_only_property_can_not_even_be_cleared_where_it_is_not_stored() -> None:
    with pytest.raises(PropertyError, match="node: is read-only"):
        check_changes(Database, {"dsn": DSN}, {"node": DEFAULT})


@given(
    stored=st.dictionaries(st.sampled_from(["pool_size", "target"]), st.integers(-5, 150)),
    changes=st.dictionaries(
        st.sampled_from(["pool_size", "target", "other"]), st.integers(-5, 150) | st.just(DEFAULT)
    ),
)
def test_what_passes_as_a_change_can_be_read_and_nothing_else(
    stored: dict[str, Any], changes: dict[str, Any]
) -> None:
    before = dict(stored)
    expected = {**stored, **changes}
    expected = {name: value for name, value in expected.items() if value is not DEFAULT}
    try:
        changed = check_changes(Database, stored, changes, defaults={"dsn": DSN})
    except PropertyError:
        assert "other" in changes or not 1 <= expected.get("pool_size", 1) <= 100
    else:
        assert changed == expected
        read_properties(Database, {"dsn": DSN}, changed)
    assert stored == before


def test_changed_names_and_whether_they_are_dynamic() -> None:
    old = read_properties(Database, {"dsn": DSN})
    new = read_properties(Database, {"dsn": DSN, "speed": "slow", "pool_size": 4, "target": 1})
    assert changed_names(old, old) == ()
    assert changed_names(old, old.model_copy()) == ()
    assert changed_names(old, new) == ("pool_size", "speed")
    assert is_dynamic(Database, changed_names(old, new))
    assert not is_dynamic(Database, ["pool_size", "dsn"])
    assert not is_dynamic(Database, ["unknown"])
    assert is_dynamic(Database, ())


# --- the class -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setting",
    [{"frozen": False}, {"extra": "allow"}, {"validate_default": False}],
)
def test_what_properties_promise_can_not_be_taken_back(setting: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"Loose: the setting '{next(iter(setting))}' can not"):
        type("Loose", (Properties,), {"model_config": setting})


@pytest.mark.parametrize("alias", [{"alias": "from"}, {"validation_alias": "from"}])
def test_a_property_has_one_name(alias: dict[str, Any]) -> None:
    namespace = {"__annotations__": {"source": str}, "source": Field("x", **alias)}
    with pytest.raises(TypeError, match=r"Two\.source: a property has one name"):
        type("Two", (Properties,), namespace)


def test_a_wrong_default_is_found_when_it_is_used() -> None:
    class Wrong(Properties):
        size: Annotated[int, Field(ge=1)] = 0

    assert _mistakes(Wrong) == ["size: 0 is not accepted; allowed: whole number, at least 1"]


# --- descriptions ----------------------------------------------------------------------


def test_a_description_holds_everything() -> None:
    assert describe_properties(Database)[:2] == (
        PropertyDescription(
            name="dsn",
            type="AnyUrl",
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
        "sequence": ("Sequence of text", "", "empty"),
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
        "any_list": ("list", "", "empty"),
        "loop": ("table of children or none", "", "none"),
        "marked": ("whole number or none", "", "none"),
    }
    described = {one.name: one for one in describe_properties(Everything)}
    assert described["even"].doc == "By two."
    assert described["marked"].dynamic


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

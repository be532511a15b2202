"""Properties: reading them, and what is said about mistakes."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Annotated, Any

import pydantic
import pytest
from pydantic import Field, SecretStr

from trioresource._errors import PropertyError
from trioresource._model.properties import (
    NO_PROPERTIES,
    NoProperties,
    Properties,
    describe_properties,
    read_properties,
    show,
)

from .conftest import DSN, Database, Login, Speed, property_mistakes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    assert property_mistakes(NoProperties, {}, {"a": 1}) == [
        "a: there is no such property; this type has none"
    ]


def test_the_layers_stay_as_they_are() -> None:
    layers: list[dict[str, Any]] = [{"node": "two", "labels": {"a": "b"}}, {"dsn": DSN}]
    before = copy.deepcopy(layers)
    read_properties(Database, *layers)
    assert layers == before


@pytest.mark.parametrize("layers", [(), ({},), ({}, {}), ({}, {}, {})])
def test_any_number_of_layers(layers: Sequence[Mapping[str, Any]]) -> None:
    assert property_mistakes(Database, *layers) == ["dsn: is required and missing; allowed: URL"]


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
    lines = property_mistakes(Database, values)
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
    assert property_mistakes(Database, {"dsn": DSN, "pool_size": value}) == [
        f"pool_size: {shown} is not accepted; allowed: whole number, at least 1, at most 100"
    ]


def test_the_members_of_a_union_make_one_mistake() -> None:
    class Choice(Properties):
        one: dict[str, int | bool] | list[int | bool] = Field(default_factory=dict)
        two: Login | Annotated[int, Field(gt=3)] = 4

    assert property_mistakes(Choice, {"one": ["x", {"y": 1}], "two": {"user": "me"}}) == [
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
    assert property_mistakes(Checked, {"port": 443}) == [
        "properties: port and tls_port are the same"
    ]
    assert property_mistakes(Checked, {"path": ""}) == ["path: is not accepted"]
    assert property_mistakes(Checked, {"path": "ftp://me:pw@there/"}) == [
        "path: ftp://me:********@there/ has a host"
    ]


@pytest.mark.parametrize("secret", ["hush", 'say "it\'s"\n'])
def test_what_a_validator_says_of_a_secret_is_not_told(secret: str) -> None:
    assert property_mistakes(Checked, {"token": secret, "port": 0}) == [
        "properties: is not accepted; the reason is not shown, as it holds a secret"
    ]
    assert property_mistakes(Checked, {"token": secret[:3]}) == [
        "token: the value is not accepted; allowed: secret text"
    ]


# --- read-only -------------------------------------------------------------------------


def test_read_only_properties_come_from_the_type_alone() -> None:
    of_type = {"node": "two"}
    assert read_properties(Database, of_type, {"dsn": DSN}).node == "two"
    refused = ["node: is read-only; leave it out, the type keeps it itself"]
    assert property_mistakes(Database, of_type, {"dsn": DSN, "node": "three"}) == refused
    assert property_mistakes(Database, {}, {"dsn": DSN, "node": "three"}) == refused
    assert property_mistakes(Database, {"dsn": DSN, "node": "three"}) == refused


# --- the class -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setting",
    [{"frozen": False}, {"extra": "allow"}, {"validate_default": False}],
)
def test_what_properties_promise_can_not_be_taken_back(setting: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"Loose: the setting '{next(iter(setting))}' cannot"):
        type("Loose", (Properties,), {"model_config": setting})


@pytest.mark.parametrize("alias", [{"alias": "from"}, {"validation_alias": "from"}])
def test_a_property_has_one_name(alias: dict[str, Any]) -> None:
    namespace = {"__annotations__": {"source": str}, "source": Field("x", **alias)}
    with pytest.raises(TypeError, match=r"Two\.source: a property has one name"):
        type("Two", (Properties,), namespace)


def test_a_wrong_default_is_found_when_it_is_used() -> None:
    class Wrong(Properties):
        size: Annotated[int, Field(ge=1)] = 0

    assert property_mistakes(Wrong) == [
        "size: 0 is not accepted; allowed: whole number, at least 1"
    ]

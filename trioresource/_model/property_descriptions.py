"""Properties in words for people: their types, bounds, defaults and values, never a secret.

Types and bounds come from the JSON schema that pydantic makes of the properties.
"""

from __future__ import annotations

import datetime
import enum
import functools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, final, get_args, get_origin

import attrs
import pydantic
from pydantic.json_schema import GenerateJsonSchema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

MASK: Final = "********"
"""What is shown in place of a secret, whatever its length."""


@final
class _Marker:
    """A mark on a property, in ``Annotated[...]``."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


dynamic: Final = _Marker("dynamic")
"""Marks a property that can be applied while online: ``Annotated[int, dynamic]``."""
read_only: Final = _Marker("read_only")
"""Marks a property that users cannot set: ``Annotated[str, read_only]``. The type sets it,
by its default or among the type's own property defaults."""


@attrs.frozen(kw_only=True)
class PropertyDescription:
    """One private property of a resource type, in words for people."""

    name: str
    type: str
    """What may be written, for example ``whole number`` or ``'fast' or 'slow'``."""
    required: bool
    default: str | None
    """The default as text; None if the property has none."""
    bounds: str
    """For example ``at least 1, at most 100``; empty without bounds."""
    dynamic: bool
    """Whether it may be applied while the resource is online."""
    read_only: bool
    """Whether users cannot set it."""
    secret: bool
    """Whether it holds a secret; its values are never shown."""
    doc: str

    @property
    def allowed(self) -> str:
        """The type and the bounds in one phrase."""
        return f"{self.type}, {self.bounds}" if self.bounds else self.type


@functools.lru_cache(maxsize=1024)
def describe_properties(cls: type[pydantic.BaseModel]) -> tuple[PropertyDescription, ...]:
    """Describe the properties of a resource type.

    Args:
        cls: the ``Properties`` class of the type.

    Returns:
        One description for each property, in the order of definition.
    """
    words = _Words(cls.model_json_schema(schema_generator=_Schema))
    return tuple(_describe(name, info, words) for name, info in cls.model_fields.items())


def _describe(name: str, info: FieldInfo, words: _Words) -> PropertyDescription:
    parts = [*info.metadata, *_parts(info.annotation)]
    schema = words.properties.get(name, _UNKNOWN)
    if _OPAQUE in schema:
        # A function validates instead of the annotated type, or the schema leaves it out.
        words = _Words(_model_of(info.annotation).model_json_schema(schema_generator=_Schema))
        schema = words.properties.get("field", schema)
    secret = words.holds_secret(schema) or any(map(_is_secret, parts))
    return PropertyDescription(
        name=name,
        type=words.type(schema),
        required=info.is_required(),
        default=_default_text(info, secret),
        bounds=words.bounds(schema),
        dynamic=any(part is dynamic for part in parts),
        read_only=any(part is read_only for part in parts),
        secret=secret,
        doc=info.description or "",
    )


def _model_of(annotation: Any) -> type[pydantic.BaseModel]:
    config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    return pydantic.create_model("Field", __config__=config, field=(annotation, ...))


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield everything that an annotation is made of, without looking into classes."""
    yield annotation
    for part in (get_origin(annotation), *get_args(annotation)):
        if part is not None:
            yield from _parts(part)


def _is_secret(part: object) -> bool:
    return isinstance(part, type) and issubclass(
        part, pydantic.SecretStr | pydantic.SecretBytes | pydantic.Secret
    )


def _default_text(info: FieldInfo, secret: bool) -> str | None:
    if info.is_required():
        return None
    if info.default_factory in (list, dict, set, frozenset, tuple):
        return "empty"
    if info.default_factory is not None:
        return "computed"
    if secret and info.default:
        return MASK
    return show_value(info.default)


# --- types and bounds ------------------------------------------------------------------

# What pydantic cannot describe might hold a secret.
_OPAQUE: Final = "x-opaque"
_SCHEMES: Final = "x-schemes"
_UNKNOWN: Final[Mapping[str, Any]] = {_OPAQUE: "anything"}


def _python_validator(schema: Any) -> object:
    match schema:
        case {"python_schema": {"function": {"function": function}}}:
            return getattr(function, "__code__", None)
    return None


# Unlike SecretStr, Secret[T] is not marked in the JSON schema. It is told from a plain T by
# this; if a later pydantic has no such function, more types than these count as secret.
_SECRET_VALIDATOR: Final = _python_validator(pydantic.TypeAdapter(pydantic.Secret[str]).core_schema)


class _Schema(GenerateJsonSchema):
    """JSON schemas of whatever pydantic can validate, with bounds that JSON does not have."""

    def default_schema(self, schema: Any) -> dict[str, Any]:
        # Without the default: it may be secret, or nothing that JSON can express.
        return self.generate_inner(schema["schema"])

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:
        return {_OPAQUE: getattr(schema.get("cls"), "__name__", "anything")}

    def function_plain_schema(self, schema: Any) -> dict[str, Any]:
        # The function replaces the validation of the annotated type, which is kept only here.
        annotated = schema.get("serialization", {}).get("schema")
        return {_OPAQUE: "anything"} if annotated is None else self.generate_inner(annotated)

    def json_or_python_schema(self, schema: Any) -> dict[str, Any]:
        mark = {"writeOnly": True} if _python_validator(schema) is _SECRET_VALIDATOR else {}
        return {**super().json_or_python_schema(schema), **mark}

    def timedelta_schema(self, schema: Any) -> dict[str, Any]:
        return self._with_bounds(super().timedelta_schema(schema), schema)

    def datetime_schema(self, schema: Any) -> dict[str, Any]:
        return self._with_bounds(super().datetime_schema(schema), schema)

    def date_schema(self, schema: Any) -> dict[str, Any]:
        return self._with_bounds(super().date_schema(schema), schema)

    def decimal_schema(self, schema: Any) -> dict[str, Any]:
        return self._with_bounds({"type": "number"}, schema)

    def url_schema(self, schema: Any) -> dict[str, Any]:
        return {"type": "string", "format": "uri", _SCHEMES: schema.get("allowed_schemes")}

    multi_host_url_schema = url_schema

    def _with_bounds(self, json_schema: dict[str, Any], schema: Any) -> dict[str, Any]:
        self.update_with_validations(json_schema, schema, self.ValidationsMapping.numeric)
        return json_schema


_NAMES: Final = {
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "null": "none",
    # Formats of strings.
    "binary": "bytes",
    "date-time": "date and time",
    "directory-path": "path",
    "file-path": "path",
    "ipvanyaddress": "IP address",
    "password": "text",
    "regex": "regular expression",
    "uri": "URL",
    "uuid": "UUID",
}
# Pydantic writes the names of the second half where JSON has none, as for unions.
_BOUNDS: Final = {
    "at least {}": ("minimum", "ge"),
    "more than {}": ("exclusiveMinimum", "gt"),
    "at most {}": ("maximum", "le"),
    "less than {}": ("exclusiveMaximum", "lt"),
    "a multiple of {}": ("multipleOf", "multiple_of"),
    "length at least {}": ("minLength", "minItems", "minProperties", "min_length"),
    "length at most {}": ("maxLength", "maxItems", "maxProperties", "max_length"),
    "matching {}": ("pattern",),
    "scheme {}": (_SCHEMES,),
}


@final
class _Words:
    """Describes the parts of one JSON schema in words.

    Args:
        schema: the schema of a model, with the definitions that it refers to.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._definitions: Mapping[str, Any] = schema.get("$defs", {})
        # A model that contains itself is one of the definitions.
        self.properties: Mapping[str, Any] = self._resolve(schema).get("properties", {})

    def _resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        reference = schema.get("$ref")
        if reference is None:
            return schema
        definition: Mapping[str, Any] = self._definitions[reference.removeprefix("#/$defs/")]
        return definition

    def type(self, schema: Mapping[str, Any], *, within: tuple[str, ...] = ()) -> str:
        """Say what may be written.

        Args:
            schema: a part of the schema.
            within: the definitions around it: a type may contain itself.
        """
        if "$ref" in schema:
            name = str(schema["$ref"]).removeprefix("#/$defs/")
            if name in within:
                return name
            return self.type(self._resolve(schema), within=(*within, name))
        recurse = functools.partial(self.type, within=within)
        secret = "secret " if schema.get("writeOnly") is True else ""
        match schema:
            case {"anyOf": list(options)} | {"oneOf": list(options)}:
                return secret + " or ".join(dict.fromkeys(map(recurse, options)))
            case {"enum": list(values)}:
                return " or ".join(map(_choice, values))
            case {"const": value}:
                return _choice(value)
            case {"type": "array"}:
                items = schema.get("prefixItems") or [schema.get("items", {})]
                kind = "set" if schema.get("uniqueItems") else "list"
                return f"{secret}{kind} of {' and '.join(map(recurse, items))}"
            case {"type": "object", "properties": dict(properties)}:
                return f"table of {', '.join(properties) or 'nothing'}"
            case {"type": "object"}:
                values = [*schema.get("patternProperties", {}).values()]
                inner = values[0] if values else schema.get("additionalProperties", {})
                return f"{secret}table of {recurse(inner if isinstance(inner, dict) else {})}"
            case {"type": str(name)}:
                format_ = str(schema.get("format", name))
                return secret + _NAMES.get(format_, format_.replace("-", " "))
        return secret + str(schema.get(_OPAQUE, "anything"))

    def bounds(self, schema: Mapping[str, Any]) -> str:
        """Say which values are allowed, of those that have the right type."""
        nodes = [*self._nodes(schema)]
        return ", ".join(
            dict.fromkeys(
                text.format(_limit(node[key]))
                for text, keys in _BOUNDS.items()
                for node in nodes
                for key in keys
                if node.get(key) is not None and not ("prefixItems" in node and "Items" in key)
            )
        )

    def holds_secret(self, schema: Mapping[str, Any]) -> bool:
        """Tell whether a secret may be in a value, however deep."""
        return any(
            node.get("writeOnly") is True or _OPAQUE in node
            for node in self._nodes(schema, follow=True)
        )

    def _nodes(
        self, schema: Mapping[str, Any], *, follow: bool = False
    ) -> Iterator[Mapping[str, Any]]:
        """Yield a schema and every schema within it; with ``follow``, in what it refers to too."""
        followed: list[str] = []
        left: list[Any] = [schema]
        while left:
            node = left.pop()
            if isinstance(node, list):
                left += reversed(node)
            if not isinstance(node, dict):
                continue
            yield node
            reference = node.get("$ref")
            if follow and isinstance(reference, str) and reference not in followed:
                followed.append(reference)
                left.append(self._resolve(node))
            inner = [value for key, value in node.items() if key not in ("default", "examples")]
            left += reversed(inner)


def _choice(value: object) -> str:
    return repr(value) if isinstance(value, str) else show_value(value)


def _limit(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return " or ".join(map(str, value)) if isinstance(value, list) else show_value(value)


# --- values ----------------------------------------------------------------------------


def show(properties: pydantic.BaseModel) -> dict[str, str]:
    """Show the values of properties as text for people.

    Args:
        properties: the properties of one resource.

    Returns:
        Text by name, in the order of definition. Secrets, and passwords within URLs,
        are shown as ``********``.
    """
    return {name: show_value(getattr(properties, name)) for name in type(properties).model_fields}


def show_value(value: object) -> str:
    """Show one value as text for people; mask secrets and passwords within URLs."""
    match value:
        case pydantic.SecretStr() | pydantic.SecretBytes() | pydantic.Secret():
            return MASK
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case enum.Enum():
            return show_value(value.value)
        case datetime.timedelta():
            return f"{value.total_seconds():g} s"
        case pydantic.BaseModel():
            return show_value(show(value))
        case Mapping():
            return (
                ", ".join(f"{key} = {show_value(inner)}" for key, inner in value.items()) or "empty"
            )
        case list() | tuple():
            return ", ".join(show_value(inner) for inner in value) or "empty"
        case set() | frozenset():
            return ", ".join(sorted(show_value(inner) for inner in value)) or "empty"
        case _:
            return mask_passwords(str(value))


# Up to the last @ of what could be the authority: a password may itself hold an @.
_URL_PASSWORD: Final = re.compile(r"(://[^\s/:@]*:)[^\s/]*@")


def mask_passwords(text: str) -> str:
    """Mask the passwords of the URLs in a text."""
    return _URL_PASSWORD.sub(rf"\g<1>{MASK}@", text)

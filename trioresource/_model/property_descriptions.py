"""Properties in words for people: their types, bounds, defaults and values, never a secret."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
import pathlib
import re
import types
from collections.abc import Iterator, Mapping
from typing import (
    Annotated,
    Any,
    Final,
    ForwardRef,
    Literal,
    Union,
    final,
    get_args,
    get_origin,
    get_type_hints,
)

import attrs
import pydantic
from pydantic.fields import FieldInfo

MASK: Final = "********"
"""What is shown in place of a secret, whatever its length."""


@final
class _Marker:
    """Says something about a property, in ``Annotated[...]``."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


dynamic: Final = _Marker("dynamic")
"""Marks a property that can be applied while online: ``Annotated[int, dynamic]``."""
read_only: Final = _Marker("read_only")
"""Marks a property that nobody may set: ``Annotated[str, read_only]``. The type keeps it,
by its default or among the type's own property defaults."""


@attrs.frozen(kw_only=True)
class PropertyDescription:
    """One private property of a resource type, in words for people."""

    name: str
    type: str
    """What may be written, for example ``whole number`` or ``'fast' or 'slow'``."""
    required: bool
    default: str | None
    """None where there is no default."""
    bounds: str
    """For example ``at least 1, at most 100``; empty where there are none."""
    dynamic: bool
    """Whether it may be applied while the resource is online."""
    read_only: bool
    """Whether nobody may set it."""
    secret: bool
    """Whether it holds a secret; its values are never shown."""
    doc: str

    @property
    def allowed(self) -> str:
        """The type and the bounds in one phrase."""
        return f"{self.type}, {self.bounds}" if self.bounds else self.type


def describe_properties(cls: type[pydantic.BaseModel]) -> tuple[PropertyDescription, ...]:
    """Describe the properties of a resource type, in the order of definition.

    Args:
        cls: the ``Properties`` class of the type.

    Returns:
        One description for each property.
    """
    return _describe(cls)


def show(properties: pydantic.BaseModel) -> dict[str, str]:
    """The values of properties as text for people.

    Args:
        properties: the properties of one resource.

    Returns:
        Text by name, in the order of definition. Secrets, and passwords within URLs,
        are shown as ``********``.
    """
    return {name: show_value(getattr(properties, name)) for name in type(properties).model_fields}


@functools.lru_cache(maxsize=1024)
def _describe(cls: type[pydantic.BaseModel]) -> tuple[PropertyDescription, ...]:
    return tuple(_describe_field(name, info) for name, info in cls.model_fields.items())


def _describe_field(name: str, info: FieldInfo) -> PropertyDescription:
    inner = list(_walk(info.annotation))
    metadata = [*info.metadata, *(one for one in inner if not isinstance(one, type))]
    secret = any(_is_secret(one) for one in inner)
    return PropertyDescription(
        name=name,
        type=_type_text(info.annotation),
        required=info.is_required(),
        default=_default_text(info, secret),
        bounds=_bounds_text(metadata),
        dynamic=dynamic in metadata,
        read_only=read_only in metadata,
        secret=secret,
        doc=info.description or "",
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


# --- values ----------------------------------------------------------------------------


def show_value(value: object) -> str:
    """One value as text for people; secrets and passwords within URLs are masked."""
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
            return ", ".join(f"{key} = {show_value(one)}" for key, one in value.items()) or "empty"
        case list() | tuple():
            return ", ".join(show_value(one) for one in value) or "empty"
        case set() | frozenset():
            return ", ".join(sorted(show_value(one) for one in value)) or "empty"
        case _:
            return mask_passwords(str(value))


# Up to the last @ of what could be the authority: a password may itself hold an @.
_URL_PASSWORD: Final = re.compile(r"(://[^\s/:@]*:)[^\s/]*@")


def mask_passwords(text: str) -> str:
    """The text without the passwords of the URLs in it."""
    return _URL_PASSWORD.sub(rf"\g<1>{MASK}@", text)


# --- types -----------------------------------------------------------------------------

_TYPE_NAMES: Final[Mapping[object, str]] = {
    Any: "anything",
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    bytes: "bytes",
    types.NoneType: "none",
    pathlib.Path: "path",
    datetime.timedelta: "duration",
    pydantic.SecretStr: "secret text",
    pydantic.SecretBytes: "secret bytes",
}


def _type_text(annotation: Any) -> str:
    annotation = _bare(annotation)
    named = _TYPE_NAMES.get(annotation)
    if named is not None:
        return named
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(repr(one) for one in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type_text(one) for one in arguments))
    if _is_secret(origin):
        return f"secret {_type_text(arguments[0])}"
    if origin is not None:
        return _container_text(origin, arguments)
    if isinstance(annotation, type):
        if issubclass(annotation, enum.Enum):
            return " or ".join(repr(one.value) for one in annotation)
        if issubclass(annotation, pydantic.BaseModel):
            return f"table of {', '.join(annotation.model_fields) or 'nothing'}"
    return getattr(annotation, "__name__", None) or str(annotation)


def _container_text(origin: Any, arguments: tuple[Any, ...]) -> str:
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"table of {_type_text(arguments[-1])}"
    inner = " and ".join(_type_text(one) for one in arguments if one is not ...)
    if origin is tuple:
        return f"list of {inner}"
    if isinstance(origin, type) and issubclass(origin, set | frozenset):
        return f"set of {inner}"
    return f"{'list' if origin is list else getattr(origin, '__name__', origin)} of {inner}"


def _bare(annotation: Any) -> Any:
    """Without ``Annotated``, ``NewType`` and type aliases around it."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = annotation.__origin__
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        elif hasattr(annotation, "__value__"):
            annotation = annotation.__value__
        else:
            return annotation


def _walk(annotation: Any) -> Iterator[Any]:
    """Every type within an annotation, also in nested models, and what ``Annotated`` adds."""
    seen: list[Any] = []
    aliases: list[str] = []
    left = [annotation]
    while left:
        one = left.pop()
        if one in seen:
            continue
        seen.append(one)
        if get_origin(one) is Annotated:
            for extra in one.__metadata__:
                yield from extra.metadata if isinstance(extra, FieldInfo) else (extra,)
            left.append(one.__origin__)
        elif hasattr(one, "__supertype__"):
            left.append(one.__supertype__)
        elif hasattr(one, "__value__"):
            aliases.append(one.__name__)
            left += [*get_args(one), one.__value__]
        elif isinstance(one, str | ForwardRef):
            # A name that only pydantic can look up might be that of a secret.
            name = one if isinstance(one, str) else one.__forward_arg__
            if name not in aliases:
                yield pydantic.SecretStr
        else:
            yield one
            left += reversed(_parts(one))


def _parts(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Literal:
        return []
    if origin is not None:
        return [*get_args(annotation), origin]
    if not isinstance(annotation, type):
        return []
    if issubclass(annotation, pydantic.BaseModel):
        return [info.annotation for info in annotation.model_fields.values()]
    # TypedDict and NamedTuple have no class to test for; these are their marks.
    if (
        dataclasses.is_dataclass(annotation)
        or hasattr(annotation, "__total__")
        or hasattr(annotation, "_fields")
    ):
        try:
            return list(get_type_hints(annotation, include_extras=True).values())
        except NameError:
            return [annotation.__name__]
    return []


def _is_secret(one: object) -> bool:
    return isinstance(one, type) and issubclass(
        one, pydantic.SecretStr | pydantic.SecretBytes | pydantic.Secret
    )


# --- bounds ----------------------------------------------------------------------------

_BOUNDS: Final = (
    ("ge", "at least {}"),
    ("gt", "more than {}"),
    ("le", "at most {}"),
    ("lt", "less than {}"),
    ("multiple_of", "a multiple of {}"),
    ("min_length", "length at least {}"),
    ("max_length", "length at most {}"),
    ("pattern", "matching {}"),
)


def _bounds_text(metadata: list[Any]) -> str:
    found = [
        text.format(show_value(getattr(value, "pattern", value)))
        for attribute, text in _BOUNDS
        for one in metadata
        if not isinstance(one, _Marker) and (value := getattr(one, attribute, None)) is not None
    ]
    return ", ".join(dict.fromkeys(found))

"""Private properties: what a resource type lets its users set, read into a parameter block.

A value comes from what is set for the resource, or else from the defaults of the resource
type, or else from the default of the field ([MS-CMRP] 3.1.1.9.1). All mistakes are found
before anything is changed, and no message ever holds the value of a secret.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, cast, final, get_args

import pydantic
from pydantic_core.core_schema import ErrorType

from .._errors import PropertyError
from .._util.spelling import did_you_mean
from .property_descriptions import PropertyDescription as PropertyDescription
from .property_descriptions import describe_properties as describe_properties
from .property_descriptions import dynamic as dynamic
from .property_descriptions import mask_passwords, show_value
from .property_descriptions import read_only as read_only
from .property_descriptions import show as show

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

PropertiesT = TypeVar("PropertiesT", bound="Properties")
PropertyPath = tuple[str | int, ...]
"""A place within properties: names of keys and indices of lists, from the outermost inwards."""


class Properties(pydantic.BaseModel):
    """The private properties of a resource type: a frozen pydantic model.

    Each field is a property, and its name is what people write. A docstring below a
    field describes it. Unknown names are refused. Mark a field with ``dynamic`` or
    ``read_only`` inside ``Annotated[...]``; give secrets the type
    ``pydantic.SecretStr``.

    Raises:
        TypeError: a subclass changes a setting that makes it frozen or strict, or gives a
            property a second name.
    """

    model_config: ClassVar[pydantic.ConfigDict] = pydantic.ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for setting in ("frozen", "extra", "validate_default", "hide_input_in_errors"):
            if cls.model_config.get(setting) != Properties.model_config.get(setting):
                raise TypeError(f"{cls.__name__}: the setting {setting!r} cannot be changed")
        for name, info in cls.model_fields.items():
            if info.alias is not None or info.validation_alias is not None:
                raise TypeError(
                    f"{cls.__name__}.{name}: a property has one name; name the field as people"
                    " should write it, without an alias"
                )


@final
class NoProperties(Properties):
    """The properties of a type that has none."""


NO_PROPERTIES: Final = NoProperties()
"""The one instance of ``NoProperties`` that all resources share."""


@final
class Default(enum.Enum):
    """The type of ``DEFAULT``."""

    DEFAULT = "default"

    def __repr__(self) -> str:
        return "DEFAULT"


DEFAULT: Final = Default.DEFAULT
"""Instead of a value: clear the property, so that its default holds again."""


def read_properties(
    cls: type[PropertiesT], *layers: Mapping[str, Any], owner: str = ""
) -> PropertiesT:
    """Read property values into a parameter block.

    Args:
        cls: the properties of the resource type.
        layers: values by name, the weakest layer first: the defaults of the type, then
            what is set for the resource. Where there are several, the first may hold
            read-only properties; no other may.
        owner: the name of the resource, for the message.

    Returns:
        The validated values, frozen.

    Raises:
        PropertyError: the type does not accept them; the message lists every mistake.
    """
    if cls is NoProperties and not any(layers):
        return cast("PropertiesT", NO_PROPERTIES)
    properties, mistakes = _validate(cls, *_overlay(cls, layers))
    if properties is None:
        raise _property_error(owner or cls.__name__, mistakes)
    return properties


def find_property_mistakes(
    cls: type[Properties], *layers: Mapping[str, Any]
) -> dict[PropertyPath, str]:
    """Find everything for which ``read_properties`` would raise an error.

    Args:
        cls: the properties of the resource type.
        layers: as for ``read_properties``.

    Returns:
        What is wrong, by the place in the properties: names of keys and indices of lists.
        The place of a mistake that concerns several properties is empty.
    """
    return _validate(cls, *_overlay(cls, layers))[1]


def check_changes(
    cls: type[Properties],
    stored: Mapping[str, Any],
    changes: Mapping[str, Any],
    *,
    defaults: Mapping[str, Any] | None = None,
    owner: str = "",
) -> dict[str, Any]:
    """Work out what would be stored after a change of properties; change nothing.

    Args:
        cls: the properties of the resource type.
        stored: what is set for the resource now.
        changes: new values by name; ``DEFAULT`` clears a property. Clearing is allowed
            for whatever is stored, also for a name that the type no longer knows.
        defaults: the defaults of the resource type.
        owner: the name of the resource, for the message.

    Returns:
        A new mapping of what is to be stored: the values as given, not as converted.

    Raises:
        PropertyError: the type does not accept the result; the message lists every
            mistake.
    """
    known = {description.name: description for description in describe_properties(cls)}
    changed = dict(stored)
    mistakes: dict[PropertyPath, str] = {}
    for name, value in changes.items():
        if value is DEFAULT and name in stored:
            del changed[name]
        elif name not in known:
            mistakes[(name,)] = _unknown(name, known)
        elif known[name].read_only:
            mistakes[(name,)] = _READ_ONLY
        elif value is not DEFAULT:
            changed[name] = value
    for name, description in known.items():
        if description.read_only and name in changed:
            mistakes[(name,)] = _READ_ONLY
    _, mistakes = _validate(cls, {**(defaults or {}), **changed}, mistakes)
    if mistakes:
        raise _property_error(owner or cls.__name__, mistakes)
    return changed


def changed_names(old: Properties, new: Properties) -> tuple[str, ...]:
    """Compare two parameter blocks of one type.

    Args:
        old: properties of a resource.
        new: other properties of the same type.

    Returns:
        The names of the properties that differ, in the order of definition.
    """
    if old is new:
        return ()
    return tuple(
        name for name in type(new).model_fields if getattr(old, name) != getattr(new, name)
    )


def is_dynamic(cls: type[Properties], names: Iterable[str]) -> bool:
    """Tell whether all of these properties may be applied while the resource is online.

    Args:
        cls: the properties of the resource type.
        names: names of properties; without any the answer is True.
    """
    allowed = [description.name for description in describe_properties(cls) if description.dynamic]
    return all(name in allowed for name in names)


# --- mistakes --------------------------------------------------------------------------

_READ_ONLY: Final = "is read-only; leave it out, the type keeps it itself"


def _overlay(
    cls: type[Properties], layers: tuple[Mapping[str, Any], ...]
) -> tuple[dict[str, Any], dict[PropertyPath, str]]:
    """Merge layers of values, without read-only ones that may not be set: those are mistakes."""
    fixed = layers[:1] if len(layers) > 1 else ()
    settable = layers[len(fixed) :]
    values = {name: value for layer in layers for name, value in layer.items()}
    mistakes: dict[PropertyPath, str] = {}
    for description in describe_properties(cls):
        name = description.name
        if description.read_only and any(name in layer for layer in settable):
            mistakes[(name,)] = _READ_ONLY
            del values[name]
            values.update((name, layer[name]) for layer in fixed if name in layer)
    return values, mistakes


def _validate(
    cls: type[PropertiesT], values: dict[str, Any], mistakes: dict[PropertyPath, str]
) -> tuple[PropertiesT | None, dict[PropertyPath, str]]:
    """Validate values that may have mistakes already: the properties, or all mistakes in order."""
    errors: list[ErrorDetails] = []
    try:
        properties = cls.model_validate(values)
    except pydantic.ValidationError as error:
        errors = error.errors(include_url=False)
    else:
        if not mistakes:
            return properties, {}
    # Outside of the except block: pydantic's error holds the values, so it must not become
    # the context of an error of ours.
    found = {**_explain(cls, values, errors), **mistakes}
    ranks = {name: rank for rank, name in enumerate(cls.model_fields)}
    paths = sorted(found, key=lambda path: ranks.get(str(path[0]) if path else "", len(ranks)))
    return None, {path: found[path] for path in paths}


def _property_error(head: str, mistakes: Mapping[PropertyPath, str]) -> PropertyError:
    lines = [
        f"{'.'.join(map(str, path)) or 'properties'}: {wrong}" for path, wrong in mistakes.items()
    ]
    if len(lines) == 1:
        return PropertyError(f"{head}: {lines[0]}", lines)
    text = "".join(f"\n  {line}" for line in lines)
    return PropertyError(f"{head}: {len(lines)} mistakes in the properties:{text}", lines)


def _explain(
    cls: type[Properties], values: Mapping[str, Any], errors: Iterable[ErrorDetails]
) -> dict[PropertyPath, str]:
    """Say what is wrong in each place, once: a union has an error for each member."""
    known = {description.name: description for description in describe_properties(cls)}
    secrets = [
        text
        for name, description in known.items()
        if description.secret
        for text in _texts_within(values.get(name))
    ]
    found: dict[PropertyPath, tuple[str, list[str]]] = {}
    for error in errors:
        path = _path(error, values)
        description = known.get(str(path[0])) if path else None
        wrong, right = _wrong_and_right(error, path, description, known, secrets)
        _, rights = found.setdefault(path, (wrong, []))
        if right and right not in rights:
            rights.append(right)
    return {
        path: f"{wrong}; {' or '.join(rights)}" if rights else wrong
        for path, (wrong, rights) in found.items()
    }


def _path(error: ErrorDetails, values: Mapping[str, Any]) -> PropertyPath:
    """Find where a mistake is, without the labels that pydantic adds for members of unions."""
    path: list[str | int] = []
    value: Any = values
    for depth, part in enumerate(error["loc"], 1):
        is_missing = error["type"] == "missing" and depth == len(error["loc"])
        try:
            value = value[part]
        except (LookupError, TypeError):
            if depth > 1 and not is_missing:
                continue
        path.append(part)
    return tuple(path)


# Errors that the description of the property explains completely.
_DESCRIBED: Final = re.compile(
    r"(?:int|float|bool|string|bytes|list|tuple|set|dict|path|none_required)_(?:type|parsing)"
    r"|(?:less|greater)_than(?:_equal)?|multiple_of|int_from_float|none_required"
    r"|(?:string_)?too_(?:short|long)|string_pattern_mismatch|literal_error|enum"
)
_OF_PYDANTIC: Final = frozenset(get_args(ErrorType)) - {"value_error", "assertion_error"}
_EXPECTATION: Final = re.compile(r"^\w+ should ")


def _wrong_and_right(
    error: ErrorDetails,
    path: PropertyPath,
    description: PropertyDescription | None,
    known: Mapping[str, PropertyDescription],
    secrets: list[str],
) -> tuple[str, str]:
    if error["type"] == "extra_forbidden":
        return _unknown(str(path[0]), known) if len(path) == 1 else "there is no such key", ""
    allowed = f"allowed: {description.allowed}" if description and len(path) == 1 else ""
    if error["type"] == "missing":
        return "is required and missing", allowed
    if description is not None and description.secret:
        return "the value is not accepted", allowed or "see the description of the property"
    if _DESCRIBED.fullmatch(error["type"]):
        wrong = f"{_input_text(error['input'])} is not accepted"
        return wrong, allowed or _EXPECTATION.sub("it should ", error["msg"])
    if error["type"] in _OF_PYDANTIC:
        return _EXPECTATION.sub("it should ", error["msg"]), ""
    reason = str(error.get("ctx", {}).get("error", error["msg"])) or "is not accepted"
    if any(secret in reason for secret in secrets):
        return "is not accepted; the reason is not shown, as it holds a secret", ""
    return mask_passwords(reason), ""


def _input_text(value: object) -> str:
    """Show what was given, if it is short and can hardly be a secret in the wrong place."""
    if isinstance(value, str):
        return repr(value) if len(value) <= 40 and "@" not in value else "this text"
    if value is None or isinstance(value, bool | int | float):
        return show_value(value)
    return "this table" if isinstance(value, Mapping) else "this value"


def _unknown(name: str, known: Mapping[str, PropertyDescription]) -> str:
    if not known:
        return "there is no such property; this type has none"
    names = ", ".join(known)
    return f"there is no such property{did_you_mean(name, known) or f'; there are: {names}'}"


def _texts_within(value: object) -> Iterator[str]:
    """Yield every text in the value of a secret property, as a message could quote it."""
    if isinstance(value, pydantic.SecretStr | pydantic.SecretBytes | pydantic.Secret):
        yield from _texts_within(value.get_secret_value())
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts_within(inner)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from _texts_within(inner)
    elif isinstance(value, str | bytes) and value:
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        yield from (text, repr(value)[1:-1])

"""Private properties: what a resource type lets its users set, read into a parameter block.

A value is looked for in what is set for the resource, then in the defaults of the
resource type, then in the schema's ([MS-CMRP] 3.1.1.9.1). All mistakes are found before
anything is changed, and no message ever holds the value of a secret.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, cast, final, get_args

import pydantic
from pydantic_core.core_schema import ErrorType

from .._errors import PropertyError
from .property_descriptions import PropertyDescription as PropertyDescription
from .property_descriptions import describe_properties as describe_properties
from .property_descriptions import dynamic as dynamic
from .property_descriptions import mask_passwords, show_value
from .property_descriptions import read_only as read_only
from .property_descriptions import show as show

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

PropertiesT = TypeVar("PropertiesT", bound="Properties")


class Properties(pydantic.BaseModel):
    """The private properties of a resource type: a frozen pydantic model.

    Each field is a property, and its name is what people write. A docstring below a
    field describes it. Unknown names are refused. Mark a field with ``dynamic`` or
    ``read_only`` inside ``Annotated[...]``; give secrets the type
    ``pydantic.SecretStr``.

    Raises:
        TypeError: a subclass takes back what is promised here, or gives a property a
            second name.
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
                raise TypeError(f"{cls.__name__}: the setting {setting!r} can not be changed")
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
        owner: whose properties they are, for the message: the name of the resource.

    Returns:
        The validated values, frozen.

    Raises:
        PropertyError: the type does not accept them; all mistakes are in the message.
    """
    if cls is NoProperties and not any(layers):
        return cast("PropertiesT", NO_PROPERTIES)
    fixed = layers[:1] if len(layers) > 1 else ()
    settable = layers[len(fixed) :]
    values = {name: value for layer in layers for name, value in layer.items()}
    mistakes: dict[str, str] = {}
    for description in describe_properties(cls):
        name = description.name
        if description.read_only and any(name in layer for layer in settable):
            mistakes[name] = _READ_ONLY
            del values[name]
            values.update((name, layer[name]) for layer in fixed if name in layer)
    return _validated(cls, values, mistakes, owner)


def check_changes(
    cls: type[Properties],
    stored: Mapping[str, Any],
    changes: Mapping[str, Any],
    *,
    defaults: Mapping[str, Any] | None = None,
    owner: str = "",
) -> dict[str, Any]:
    """Work out what would be stored after a change of properties; nothing is changed.

    Args:
        cls: the properties of the resource type.
        stored: what is set for the resource now.
        changes: new values by name; ``DEFAULT`` clears a property. Clearing is allowed
            for whatever is stored, also for a name that the type no longer knows.
        defaults: the defaults of the resource type.
        owner: whose properties they are, for the message: the name of the resource.

    Returns:
        A new mapping of what is to be stored: what was given, not what it was
        converted to.

    Raises:
        PropertyError: the type does not accept the outcome; all mistakes are in the
            message, and none of the changes counts.
    """
    known = {description.name: description for description in describe_properties(cls)}
    changed = dict(stored)
    mistakes: dict[str, str] = {}
    for name, value in changes.items():
        if value is DEFAULT and name in stored:
            del changed[name]
        elif name not in known:
            mistakes[name] = _unknown(name, known)
        elif known[name].read_only:
            mistakes[name] = _READ_ONLY
        elif value is not DEFAULT:
            changed[name] = value
    for name, description in known.items():
        if description.read_only and name in changed:
            mistakes[name] = _READ_ONLY
    values = {**(defaults or {}), **changed}
    _validated(cls, values, mistakes, owner)
    return changed


def changed_names(old: Properties, new: Properties) -> tuple[str, ...]:
    """The names of the properties that differ, in the order of definition.

    Args:
        old: properties of a resource.
        new: other properties of the same type.
    """
    if old is new:
        return ()
    return tuple(
        name for name in type(new).model_fields if getattr(old, name) != getattr(new, name)
    )


def is_dynamic(cls: type[Properties], names: Iterable[str]) -> bool:
    """Whether every one of these properties may be applied while online.

    Args:
        cls: the properties of the resource type.
        names: names of properties; for none at all the answer is True.
    """
    allowed = [description.name for description in describe_properties(cls) if description.dynamic]
    return all(name in allowed for name in names)


# --- mistakes --------------------------------------------------------------------------

_READ_ONLY: Final = "is read-only; leave it out, the type keeps it itself"
_WHOLE: Final = "properties"
"""Where a mistake lies that is none of a single property."""


def _validated(
    cls: type[PropertiesT], values: dict[str, Any], mistakes: dict[str, str], owner: str
) -> PropertiesT:
    errors: list[ErrorDetails] = []
    try:
        properties = cls.model_validate(values)
    except pydantic.ValidationError as error:
        errors = error.errors(include_url=False)
    else:
        if not mistakes:
            return properties
    # Raised outside of the except block: pydantic's error holds the values, so it must
    # not become the context of ours.
    found = {**_explain(cls, values, errors), **mistakes}
    order = [description.name for description in describe_properties(cls)]
    ranks = {name: rank for rank, name in enumerate(order)}
    keys = sorted(found, key=lambda key: ranks.get(key.partition(".")[0], len(ranks)))
    lines = [f"{key}: {found[key]}" for key in keys]
    head = owner or cls.__name__
    if len(lines) == 1:
        raise PropertyError(f"{head}: {lines[0]}", lines)
    text = "".join(f"\n  {line}" for line in lines)
    raise PropertyError(f"{head}: {len(lines)} mistakes in the properties:{text}", lines)


def _explain(
    cls: type[Properties], values: Mapping[str, Any], errors: Iterable[ErrorDetails]
) -> dict[str, str]:
    """What is wrong by place, each place once: a union has an error for each member."""
    known = {description.name: description for description in describe_properties(cls)}
    secrets = [
        text
        for name, description in known.items()
        if description.secret
        for text in _texts_within(values.get(name))
    ]
    found: dict[str, tuple[str, list[str]]] = {}
    for error in errors:
        path = _path(error, values)
        description = known.get(path[0]) if path else None
        wrong, right = _wrong_and_right(error, path, description, known, secrets)
        _, rights = found.setdefault(".".join(path) or _WHOLE, (wrong, []))
        if right and right not in rights:
            rights.append(right)
    return {
        place: f"{wrong}; {' or '.join(rights)}" if rights else wrong
        for place, (wrong, rights) in found.items()
    }


def _path(error: ErrorDetails, values: Mapping[str, Any]) -> list[str]:
    """Where the mistake is, without the labels that pydantic adds for members of unions."""
    path: list[str] = []
    value: Any = values
    for depth, part in enumerate(error["loc"], 1):
        is_missing = error["type"] == "missing" and depth == len(error["loc"])
        try:
            value = value[part]
        except (LookupError, TypeError):
            if depth > 1 and not is_missing:
                continue
        path.append(str(part))
    return path


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
    path: list[str],
    description: PropertyDescription | None,
    known: Mapping[str, PropertyDescription],
    secrets: list[str],
) -> tuple[str, str]:
    if error["type"] == "extra_forbidden":
        return _unknown(path[0], known) if len(path) == 1 else "there is no such key", ""
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
    """What was written, if it is short and can hardly be a secret in the wrong place."""
    if isinstance(value, str):
        return repr(value) if len(value) <= 40 and "@" not in value else "this text"
    if value is None or isinstance(value, bool | int | float):
        return show_value(value)
    return "this table" if isinstance(value, Mapping) else "this value"


def _unknown(name: str, known: Mapping[str, PropertyDescription]) -> str:
    if not known:
        return "there is no such property; this type has none"
    plain = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower().replace("-", "_"), plain, n=1)
    if close:
        return f"there is no such property; did you mean {plain[close[0]]!r}?"
    return f"there is no such property; there are: {', '.join(known)}"


def _texts_within(value: object) -> Iterator[str]:
    """Every text in the value of a secret property, as a message could quote it."""
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

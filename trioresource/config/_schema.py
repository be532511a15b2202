"""The tables of a cluster file as pydantic models; ``docs/cluster-file.md`` has every key.

The models check one table at a time; what concerns several resources is checked in
``_reading``. The bounds of policies are those of ``_model/policy``: here the values only get
their place in the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, get_args, get_origin

import attrs
import pydantic
from pydantic import AfterValidator, Field, PlainValidator, StrictBool, ValidationInfo

from .._errors import DependencyError, UnknownType
from .._model.dependencies import NO_DEPENDENCIES, Dependencies, read_dependencies
from .._model.policy import Backoff, Deadlines, PollIntervals, RestartAction, RestartPolicy
from .._model.properties import find_property_mistakes
from ._definition import DEFAULT_GROUP, GroupConfig, ResourceConfig
from ._environment import Substitution
from ._positions import shown
from ._types import HandlerClass

if TYPE_CHECKING:
    from ._positions import TomlPath

TypeResolver = Callable[[str], HandlerClass]
"""Finds the class of a resource type by its name, or raises ``UnknownType``."""

_DURATION: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|h)\s*")
# In milliseconds: dividing by 1000 gives the nearest float, multiplying by 0.001 does not.
_UNITS: Final = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}


class Mistakes(ValueError):
    """Several mistakes within one value.

    Attributes:
        found: what is wrong, by the place within the value.
    """

    def __init__(self, found: dict[TomlPath, str]) -> None:
        super().__init__("; ".join(found.values()))
        self.found: dict[TomlPath, str] = found


# --- values ----------------------------------------------------------------------------


def _to_name(value: str) -> str:
    if not value or not value.isprintable() or value != value.strip() or set("[]/") & set(value):
        raise ValueError(
            f"{shown(value)} cannot be a name; a name is not empty, has no control characters,"
            " brackets or slashes, and neither begins nor ends with a space"
        )
    return value


def _to_number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number, not {shown(value)}")
    return value


def _to_seconds(value: Any) -> float:
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        return float(match[1]) * _UNITS[match[2]] / 1000
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(
            f"{shown(value)} is not a duration; write a number of seconds, or a number with"
            ' ms, s, min or h, such as "500 ms" or "15 min"'
        )
    return value


def _to_bound(value: Any) -> float:
    seconds = _to_seconds(value)
    if not seconds > 0:
        raise ValueError(f"must be greater than 0 seconds, not {shown(value)}")
    return seconds


def _to_retry(value: Any) -> float | None:
    try:
        return None if value == "never" else _to_seconds(value)
    except ValueError as error:
        raise ValueError(f'{error}; or "never", to stay failed') from None


def to_dependencies(value: Any) -> Dependencies:
    """Read what a resource depends on, or raise ValueError with what would be right."""
    if not isinstance(value, str | list):
        raise ValueError(f"must be a name, an expression or a list of names, not {shown(value)}")
    try:
        return read_dependencies(value)
    except DependencyError as error:
        raise ValueError(str(error)) from error


def _find_type(value: Any, info: ValidationInfo) -> HandlerClass:
    context: Any = info.context
    if not isinstance(value, str):
        raise ValueError(f"must be a string, not {shown(value)}")
    try:
        handler: HandlerClass = context["resolve"](value)
    except UnknownType as error:
        raise ValueError(str(error)) from error
    return handler


Name = Annotated[str, AfterValidator(_to_name)]
# TOML has no null, so in a policy None always means that the file does not set the value.
Seconds = Annotated[float | None, PlainValidator(_to_seconds)]
Number = Annotated[float | None, PlainValidator(_to_number)]

# --- tables ----------------------------------------------------------------------------


class Table(pydantic.BaseModel):
    """A table in which every key is known."""

    model_config = pydantic.ConfigDict(extra="forbid")


class PolicyTable(Table):
    """A table with values of a policy of ``_model/policy``, which checks them."""

    policy: ClassVar[type[Any]]

    @pydantic.field_validator("*")
    @classmethod
    def _check(cls, value: Any, info: ValidationInfo) -> Any:
        # Together with the values before it, since two that are right may not go together.
        values = {**info.data, str(info.field_name): value}
        unset = [key for key in values if values[key] is None or isinstance(values[key], Table)]
        try:
            cls.policy(**{key: values[key] for key in values if key not in unset})
        except ValueError as error:
            raise ValueError(str(error).removeprefix(f"{info.field_name} ")) from None
        return value

    def values(self) -> dict[str, Any]:
        """The values that the file sets, by name."""
        return {name: value for name, value in self if name in self.model_fields_set}


class DeadlinesTable(PolicyTable):
    """The table ``deadlines`` of a resource."""

    policy = Deadlines
    soft: Seconds = None
    pending: Seconds = None
    deadlock: Seconds = None
    terminate: Seconds = None


class PollTable(PolicyTable):
    """The table ``poll`` of a resource."""

    policy = PollIntervals
    looks_alive: Seconds = None
    is_alive: Seconds = None
    failures: Any = None
    window: Any = None


class BackoffTable(PolicyTable):
    """The table ``backoff`` within ``restart``."""

    policy = Backoff
    factor: Number = None
    maximum: Seconds = None
    jitter: Number = None


def _to_backoff(table: BackoffTable) -> Any:
    return Backoff(**table.values())


class RestartTable(PolicyTable):
    """The table ``restart`` of a resource."""

    policy = RestartPolicy
    backoff: Annotated[BackoffTable, AfterValidator(_to_backoff)] = BackoffTable()
    action: RestartAction | None = None
    threshold: Any = None
    period: Seconds = None
    delay: Seconds = None
    retry: Annotated[float | None, PlainValidator(_to_retry)] = None
    stable_after: Seconds = None


def _wrong_for(handler: HandlerClass | None, properties: dict[str, Any]) -> dict[TomlPath, str]:
    """Find what a resource type, if it is known, does not accept in properties."""
    if handler is None:
        return {}
    defaults = handler.type_info.property_defaults
    try:
        return find_property_mistakes(handler.properties_type, defaults, properties)
    except Exception as error:
        # Its words are left out: they may hold a secret.
        kind, raised = f"{handler.__module__}:{handler.__qualname__}", error.__class__.__name__
        return {(): f"the check of type {kind} itself raised {raised}"}


class ClusterTable(Table):
    """The table ``[cluster]``."""

    name: Name = "cluster"
    store: Literal["memory"] = "memory"
    shutdown_deadline: Annotated[float, PlainValidator(_to_bound)] = 60.0
    on_give_up: Literal["stay-failed", "raise"] = "stay-failed"


class GroupTable(Table):
    """A table ``[groups.NAME]``."""

    description: str = ""
    autostart: StrictBool = True


class ResourceTable(Table):
    """A table ``[resources.NAME]``."""

    # Any: pydantic does not know types of generic classes.
    type: Annotated[Any, PlainValidator(_find_type)]
    group: Name = DEFAULT_GROUP
    description: str = ""
    depends_on: Annotated[Dependencies, PlainValidator(to_dependencies)] = NO_DEPENDENCIES
    # Also checked where the file sets none: some may be required.
    properties: dict[str, Any] = Field(default_factory=dict, validate_default=True)
    deadlines: DeadlinesTable = DeadlinesTable()
    poll: PollTable = PollTable()
    restart: RestartTable = RestartTable()
    on_give_up: Literal["stay-failed", "raise"] | None = None
    """None: as the cluster says."""
    autostart: StrictBool | None = None
    """None: as the group says."""

    @pydantic.field_validator("properties")
    @classmethod
    def _check_properties(cls, values: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        context: Any = info.context
        substitution = Substitution(context["environment"])
        properties = {key: substitution.apply(value, (key,)) for key, value in values.items()}
        mistakes = dict(substitution.mistakes)
        for path, text in _wrong_for(info.data.get("type"), properties).items():
            # The value of a variable that is not set is unknown, so it is not judged.
            if not substitution.is_open(path):
                mistakes[path] = substitution.conceal(text, path)
        if mistakes:
            raise Mistakes(mistakes)
        return properties

    def define(
        self, name: str, kind: str, cluster: ClusterTable, group: GroupConfig, line: int
    ) -> ResourceConfig:
        """Make the definition of the resource.

        Args:
            name: the name of the resource.
            kind: the type, as the file names it.
            cluster: the table ``[cluster]``.
            group: the group of the resource.
            line: where the table is.
        """
        deadlines, poll = self.deadlines.values(), self.poll.values()
        values = {
            **dict(self),
            "type": kind,
            "handler": self.type,
            "deadlines": attrs.evolve(self.type.type_info.deadlines, **deadlines)
            if deadlines
            else None,
            "poll": PollIntervals(**poll) if poll else None,
            "restart": RestartPolicy(**self.restart.values()),
            "on_give_up": self.on_give_up or cluster.on_give_up,
            "autostart": group.autostart if self.autostart is None else self.autostart,
        }
        return ResourceConfig(name=name, line=line, **values)


class Document(Table):
    """The whole file."""

    cluster: ClusterTable = ClusterTable()
    groups: dict[Name, GroupTable] = Field(default_factory=dict)
    resources: dict[Name, ResourceTable] = Field(default_factory=dict)


def keys_of(path: TomlPath) -> list[str]:
    """List the keys that the table at a place in the file may have.

    Args:
        path: the place of a table for which there is a model.
    """
    kind: Any = Document
    for part in path:
        # Tables by name are a dictionary: there the next part is a name, not a field.
        is_named = get_origin(kind) is dict
        kind = get_args(kind)[1] if is_named else kind.model_fields[part].annotation
    return list(kind.model_fields)

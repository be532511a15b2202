"""The tables of a cluster file as pydantic models; ``docs/cluster-file.md`` has them all.

The models check one table after the other. What concerns several resources (unknown
dependencies, circles) is checked in ``_reading``. The bounds of deadlines, intervals and
policies are those of ``_model/policy``; here the values only get their place in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar, get_args

import attrs
import pydantic
from pydantic import AfterValidator, Field, PlainValidator, StrictBool, ValidationInfo
from pydantic_core import InitErrorDetails

from .._errors import DependencyError, UnknownType
from .._model.dependencies import NO_DEPENDENCIES, Dependencies, read_dependencies
from .._model.policy import Backoff, Deadlines, PollIntervals, RestartAction, RestartPolicy
from .._model.properties import find_property_mistakes
from ._definition import DEFAULT_GROUP
from ._environment import Substitution
from ._types import HandlerClass
from ._values import shown, to_bound, to_name, to_number, to_retry, to_seconds

if TYPE_CHECKING:
    from ._positions import TomlPath

TypeResolver = Callable[[str], HandlerClass]
"""Finds the class of a resource type by its name, or raises ``UnknownType``."""
PolicyT = TypeVar("PolicyT", Deadlines, PollIntervals, RestartPolicy)


@attrs.frozen
class Surroundings:
    """What the models need to know beside the file; pydantic hands it on as the context."""

    resolve: TypeResolver
    environment: Mapping[str, str]
    handlers: dict[str, HandlerClass] = attrs.field(factory=dict)
    """The classes of the types that have been found so far."""


class Table(pydantic.BaseModel):
    """A table in which every key is known."""

    model_config = pydantic.ConfigDict(extra="forbid")


# --- policies --------------------------------------------------------------------------

# TOML has no null, so None always means that the file does not set the value.
Seconds = Annotated[float | None, PlainValidator(to_seconds)]
Number = Annotated[float | None, PlainValidator(to_number)]


class PolicyTable(Table):
    """A table with values of a policy of ``_model/policy``, which checks them."""

    policy: ClassVar[type[Any]]

    @pydantic.field_validator("*")
    @classmethod
    def _check(cls, value: Any, info: ValidationInfo) -> Any:
        # Together with the values before it, since two that are right may not go together.
        values = {**info.data, str(info.field_name): value}
        try:
            cls.policy(**{name: one for name, one in values.items() if _is_set(one)})
        except ValueError as error:
            raise ValueError(str(error).removeprefix(f"{info.field_name} ")) from None
        return value

    def values(self) -> dict[str, Any]:
        """The values that the file sets, by name."""
        return {
            name: getattr(self, name)
            for name in type(self).model_fields
            if name in self.model_fields_set
        }

    def onto(self, inherited: PolicyT) -> PolicyT:
        """Put the values that the file sets in place of those of another policy."""
        return attrs.evolve(inherited, **self.values())


def _is_set(value: object) -> bool:
    return value is not None and not isinstance(value, Table)


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


class RestartTable(PolicyTable):
    """The table ``restart`` of a resource."""

    policy = RestartPolicy
    backoff: BackoffTable = BackoffTable()
    action: RestartAction | None = None
    threshold: Any = None
    period: Seconds = None
    delay: Seconds = None
    retry: Annotated[float | None, PlainValidator(to_retry)] = None
    stable_after: Seconds = None

    def values(self) -> dict[str, Any]:
        """The values that the file sets, by name."""
        values = super().values()
        if "backoff" in values:
            values["backoff"] = Backoff(**self.backoff.values())
        return values


# --- the sections ----------------------------------------------------------------------


def _surroundings(info: ValidationInfo) -> Surroundings:
    context: object = info.context
    assert isinstance(context, Surroundings)
    return context


def _find_type(name: str, info: ValidationInfo) -> str:
    surroundings = _surroundings(info)
    try:
        surroundings.handlers[name] = surroundings.resolve(name)
    except UnknownType as error:
        raise ValueError(str(error)) from error
    return name


def to_dependencies(value: Any) -> Dependencies:
    """Read what a resource depends on, or raise ValueError with what would be right."""
    if not isinstance(value, str | list):
        raise ValueError(f"must be a name, an expression or a list of names, not {shown(value)}")
    try:
        return read_dependencies(value)
    except DependencyError as error:
        raise ValueError(str(error)) from error


Name = Annotated[str, AfterValidator(to_name)]


class ClusterTable(Table):
    """The table ``[cluster]``."""

    name: Name = "cluster"
    store: Literal["memory"] = "memory"
    shutdown_deadline: Annotated[float, PlainValidator(to_bound)] = 60.0


class GroupTable(Table):
    """A table ``[groups.NAME]``."""

    description: str = ""
    autostart: StrictBool = True


class ResourceTable(Table):
    """A table ``[resources.NAME]``."""

    type: Annotated[str, AfterValidator(_find_type)]
    group: Name = DEFAULT_GROUP
    description: str = ""
    depends_on: Annotated[Dependencies, PlainValidator(to_dependencies)] = NO_DEPENDENCIES
    # Also checked where the file sets none: some may be required.
    properties: dict[str, Any] = Field(default_factory=dict, validate_default=True)
    deadlines: DeadlinesTable = DeadlinesTable()
    poll: PollTable = PollTable()
    restart: RestartTable = RestartTable()
    autostart: StrictBool | None = None
    """None: as the group says."""

    @pydantic.field_validator("properties")
    @classmethod
    def _check_properties(cls, values: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        surroundings = _surroundings(info)
        substitution = Substitution(surroundings.environment)
        properties = {key: substitution.apply(value, (key,)) for key, value in values.items()}
        mistakes: list[tuple[TomlPath, str]] = [*substitution.mistakes.items()]
        kind = info.data.get("type")
        if kind is not None:
            mistakes += _wrong_for(kind, surroundings.handlers[kind], properties, substitution)
        if mistakes:
            raise pydantic.ValidationError.from_exception_data(
                "properties",
                [
                    InitErrorDetails(
                        type="value_error", loc=path, input=None, ctx={"error": ValueError(text)}
                    )
                    for path, text in mistakes
                ],
            )
        return properties


def _wrong_for(
    kind: str,
    handler: HandlerClass,
    properties: Mapping[str, Any],
    substitution: Substitution,
) -> list[tuple[TomlPath, str]]:
    """Find what the resource type does not accept in the properties."""
    try:
        mistakes = find_property_mistakes(
            handler.properties_type, handler.type_info.property_defaults, properties
        )
    except Exception as error:
        # Its words are left out: they may hold a secret.
        return [((), f"the check of type {kind} itself raised {type(error).__name__}")]
    return [
        (path, substitution.conceal(text, path))
        for path, text in mistakes.items()
        # The value of a variable that is not set is unknown, so it is not judged.
        if not substitution.is_open(path)
    ]


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
        is_table = isinstance(kind, type) and issubclass(kind, Table)
        # Tables by name are a dictionary: there the next part is a name, not a field.
        kind = kind.model_fields[part].annotation if is_table else get_args(kind)[1]
    return list(kind.model_fields)

"""The cluster file (TOML) as typed values, every mistake reported with its place.

The format, with every key there is::

    [cluster]
    name = "demo"              # default: "cluster"
    store = "memory"           # where the state lives; default: "memory"
    shutdown_deadline = 60     # bound of the whole shutdown; default: 60

    [groups.shop]              # a group not named here exists by being used
    description = "what customers see"
    autostart = true           # what its resources do that do not say themselves
    failover = { threshold = 1, period = "6 h" }

    [resources.db]
    type = "process"           # a registered type, or "package.module:Class"
    group = "shop"             # default: "default"
    description = "the database"
    depends_on = "[disk] or [mirror]"    # or a list of names, all of them needed
    autostart = true           # whether it should be online from the start
    poll = { looks_alive = 5, is_alive = 60, failures = 2, window = 3 }
    deadlines = { soft = 0.3, pending = 180, deadlock = 300, terminate = 30 }

    [resources.db.restart]
    action = "restart"         # or "none" or "restart-and-fail-over"
    threshold = 3
    period = "15 min"
    delay = "500 ms"
    retry = 3600               # or "never": stay failed
    backoff = { factor = 2, maximum = 60, jitter = 0.1 }
    stable_after = 60

    [resources.db.properties]  # what the type asks for
    command = ["postgres", "-D", "/srv/db"]
    environment = { PGPASSWORD = { from_env = "DB_PASSWORD" } }

Durations are numbers of seconds, or strings with a unit: ``"500 ms"``, ``"30 s"``,
``"15 min"``, ``"6 h"``.

Whatever is left out comes from the resource's type, and from the documented defaults
after that. Within properties a table with the one key ``from_env`` stands for the value
of that environment variable, so that secrets stay out of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, final

import attrs

from .._errors import ConfigError, DependencyError, PropertyError, UnknownType
from .._model.dependencies import (
    NO_DEPENDENCIES,
    Dependencies,
    find_mistakes,
    parse_dependencies,
    start_order,
)
from .._model.policy import Deadlines, FailoverPolicy, PollIntervals, RestartPolicy
from .._model.properties import Properties, read_properties
from ._environment import Substitution
from ._policies import read_deadlines, read_failover, read_poll, read_restart
from ._positions import TomlSyntaxError, read_toml
from ._table import Mistakes, Table, as_flag, as_name, as_seconds, as_text, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._positions import TomlPath

DEFAULT_GROUP: Final = "default"
"""The group of resources that name none."""
KNOWN_STORES: Final = ("memory",)
"""What may be given as ``store``."""


@final
@attrs.frozen(kw_only=True)
class TypeDescription:
    """What the cluster file needs to know of a resource type."""

    name: str
    properties_type: type[Properties]
    property_defaults: Mapping[str, Any] = attrs.field(factory=dict)
    """Values of properties that a resource does not set."""
    deadlines: Deadlines = Deadlines()
    """The deadlines of resources that set none; those that set some inherit the rest."""


class TypeResolver(Protocol):
    """Finds a resource type; ``registry.describe_type`` is one."""

    def __call__(self, name: str, /) -> TypeDescription:
        """The type of that name.

        Raises:
            UnknownType: there is none, or it can not be used.
        """
        ...


@final
@attrs.frozen(kw_only=True)
class GroupConfig:
    """A group as the cluster file describes it, or as it is by being used."""

    name: str
    description: str = ""
    failover: FailoverPolicy = FailoverPolicy()
    autostart: bool = True
    """What the group's resources do that do not say themselves."""
    line: int | None = attrs.field(default=None, eq=False)
    """Where in the file it is described, if it is."""


@final
@attrs.frozen(kw_only=True)
class ResourceConfig:
    """A resource as the cluster file describes it."""

    name: str
    type: str
    """As the file names it: a registered type or ``package.module:Class``."""
    group: str = DEFAULT_GROUP
    description: str = ""
    depends_on: Dependencies = NO_DEPENDENCIES
    properties: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    """What the file sets, checked against the type. Not shown: there may be secrets."""
    deadlines: Deadlines | None = None
    """Complete, what the file leaves out taken from the type; None: all of the type's."""
    poll: PollIntervals | None = None
    """What the file sets, the rest to be inherited; None: all of the type's."""
    restart: RestartPolicy = RestartPolicy()
    autostart: bool = True
    """Whether the resource should be online from the start."""
    line: int | None = attrs.field(default=None, eq=False)
    """Where in the file it is described."""


@final
@attrs.frozen(kw_only=True)
class ClusterConfig:
    """The cluster file as values; what it holds has been checked."""

    name: str = "cluster"
    store: str = "memory"
    shutdown_deadline: float = 60.0
    """Seconds."""
    groups: Mapping[str, GroupConfig] = attrs.field(factory=dict)
    """All groups: those that the file describes, then those that are only used."""
    resources: Mapping[str, ResourceConfig] = attrs.field(factory=dict)
    """All resources, in the order of the file."""

    def members(self, group: str) -> dict[str, ResourceConfig]:
        """The resources of a group, in the order of the file."""
        return {name: one for name, one in self.resources.items() if one.group == group}

    def start_order(self, group: str) -> tuple[tuple[str, ...], ...]:
        """The names of a group's resources in layers, providers before their dependents."""
        return start_order({name: one.depends_on for name, one in self.members(group).items()})


def parse_cluster_file(
    text: str,
    *,
    file: str,
    resolve: TypeResolver,
    environment: Mapping[str, str] | None = None,
) -> ClusterConfig:
    """Read a cluster file.

    Args:
        text: what is in the file.
        file: its name, as mistakes should give it.
        resolve: finds resource types.
        environment: the environment variables that properties may refer to.

    Returns:
        The cluster, all of it checked.

    Raises:
        ConfigError: the file has mistakes; the error lists all of them, each with file,
            line and key.
    """
    try:
        document = read_toml(text)
    except TomlSyntaxError as error:
        place = "".join(f":{number}" for number in (error.line, error.column) if number)
        raise config_error(file, [f"{file}{place}: not TOML: {error}"]) from None
    mistakes = Mistakes(file, document)
    config = _Reader(resolve, environment or {}).cluster(Table(document.values, (), mistakes))
    found = mistakes.lines()
    if found:
        raise config_error(file, found)
    return config


def config_error(file: str, mistakes: list[str]) -> ConfigError:
    """The error that lists the mistakes of a file, its message one line for each."""
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return ConfigError("\n  ".join([f"{file} has {count}:", *mistakes]), mistakes)


@final
class _Reader:
    """Turns tables into values; what is wrong is noted and replaced by its default."""

    def __init__(self, resolve: TypeResolver, environment: Mapping[str, str]) -> None:
        self._resolve = resolve
        self._environment = environment

    def cluster(self, root: Table) -> ClusterConfig:
        head = root.section("cluster")
        groups = {name: _group(name, table) for name, table in root.tables("groups")}
        tables = dict(root.tables("resources"))
        resources = {name: self._resource(name, table, groups) for name, table in tables.items()}
        for resource in resources.values():
            groups.setdefault(resource.group, GroupConfig(name=resource.group))
        _check_dependencies(resources, tables)
        config = ClusterConfig(
            name=head.get("name", as_name, "cluster"),
            store=head.get("store", _as_store, "memory"),
            shutdown_deadline=head.get("shutdown_deadline", _as_bound, 60.0),
            groups=groups,
            resources=resources,
        )
        head.refuse_others()
        root.refuse_others()
        return config

    def _resource(
        self, name: str, table: Table, groups: Mapping[str, GroupConfig]
    ) -> ResourceConfig:
        _check_name(name, table)
        kind = self._type(table)
        group = table.get("group", as_name, DEFAULT_GROUP)
        described = groups.get(group)
        resource = ResourceConfig(
            name=name,
            type="" if kind is None else kind.name,
            group=group,
            description=table.get("description", as_text, ""),
            depends_on=table.get("depends_on", _dependencies_of(name), NO_DEPENDENCIES),
            properties=self._properties(name, table, kind),
            deadlines=read_deadlines(table, Deadlines() if kind is None else kind.deadlines),
            poll=read_poll(table),
            restart=read_restart(table),
            autostart=table.get("autostart", as_flag, described is None or described.autostart),
            line=table.line(),
        )
        table.refuse_others()
        return resource

    def _type(self, table: Table) -> TypeDescription | None:
        def find(value: Any) -> TypeDescription:
            try:
                return self._resolve(as_text(value))
            except UnknownType as error:
                raise ValueError(str(error)) from error

        if "type" not in table.values:
            table.mistake('type is missing; write for example type = "process"')
        return table.get("type", find, None)

    def _properties(
        self, name: str, table: Table, kind: TypeDescription | None
    ) -> Mapping[str, Any]:
        section = table.section("properties")
        substitution = Substitution(self._environment)
        properties = {
            key: substitution.apply(value, (key,)) for key, value in section.values.items()
        }
        for path, text in substitution.mistakes.items():
            section.mistake(text, *path)
        if kind is None or section.is_wrong:
            return properties
        try:
            read_properties(kind.properties_type, kind.property_defaults, properties, owner=name)
        except PropertyError as error:
            for mistake in error.mistakes:
                key, _, text = mistake.partition(": ")
                path = _path_of(key, kind.properties_type)
                # What a variable that is not set would have been is not judged as well.
                if not substitution.is_open(path):
                    section.mistake(substitution.conceal(text, path), *path)
        except Exception as error:
            # Its words are left out: they may hold a secret.
            section.mistake(f"the check of type {kind.name} itself raised {type(error).__name__}")
        return properties


def _group(name: str, table: Table) -> GroupConfig:
    _check_name(name, table)
    group = GroupConfig(
        name=name,
        description=table.get("description", as_text, ""),
        failover=read_failover(table),
        autostart=table.get("autostart", as_flag, True),
        line=table.line(),
    )
    table.refuse_others()
    return group


def _check_name(name: str, table: Table) -> None:
    try:
        as_name(name)
    except ValueError as error:
        table.mistake(str(error))


def _as_store(value: Any) -> str:
    if value not in KNOWN_STORES:
        raise ValueError(f"{shown(value)} is not known; known: {', '.join(KNOWN_STORES)}")
    return as_text(value)


def _as_bound(value: Any) -> float:
    seconds = as_seconds(value)
    if not seconds > 0:
        raise ValueError(f"must be greater than 0 seconds, not {shown(value)}")
    return seconds


def _dependencies_of(owner: str) -> Callable[[Any], Dependencies]:
    def convert(value: Any) -> Dependencies:
        if not isinstance(value, str | list):
            raise ValueError(
                f"must be a name, an expression or a list of names, not {shown(value)}"
            )
        try:
            return parse_dependencies(value, owner=owner)
        except DependencyError as error:
            raise ValueError(str(error).removeprefix(f"dependencies of {owner}: ")) from error

    return convert


def _check_dependencies(
    resources: Mapping[str, ResourceConfig], tables: Mapping[str, Table]
) -> None:
    mistakes = find_mistakes(
        {name: resource.depends_on for name, resource in resources.items()},
        {name: resource.group for name, resource in resources.items()},
    )
    for mistake in mistakes:
        # Each begins with the name of its resource, which may hold a colon itself.
        owner = max((name for name in resources if mistake.startswith(f"{name}: ")), key=len)
        tables[owner].mistake(mistake.removeprefix(f"{owner}: "), "depends_on")


def _path_of(key: str, properties_type: type[Properties]) -> TomlPath:
    """Where in the table of properties a mistake of ``read_properties`` lies."""
    if key == "properties" and key not in properties_type.model_fields:
        return ()  # None of a single property: a rule about several of them.
    return tuple(int(part) if part.isdecimal() else part for part in key.split("."))

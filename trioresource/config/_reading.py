"""Reading a cluster file: its tables as definitions, or all its mistakes, each with its place."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pydantic

from .._errors import ConfigError
from .._model.dependencies import find_mistakes
from .._model.policy import PollIntervals, RestartPolicy
from .._util.spelling import suggest
from ._definition import DEFAULT_GROUP, ClusterConfig, GroupConfig, ResourceConfig
from ._positions import TomlSyntaxError, read_toml
from ._schema import Document, Surroundings, keys_of, to_dependencies
from ._types import find_type
from ._values import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic_core import ErrorDetails

    from ._positions import TomlDocument, TomlPath
    from ._schema import ResourceTable, TypeResolver

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_KINDS: Final = {"string_type": "a string", "bool_type": "true or false"}
_NO_TABLE: Final = ("dict_type", "model_type")


def load_cluster_file(
    path: str | os.PathLike[str],
    *,
    resolve: TypeResolver = find_type,
    environment: Mapping[str, str] | None = None,
) -> ClusterConfig:
    """Read and check a cluster file.

    Args:
        path: the file.
        resolve: finds the class of a resource type by the name that the file gives, or
            raises ``UnknownType``. The default imports the module of the type.
        environment: the environment variables that properties may refer to; None means
            those of this process.

    Returns:
        The definitions in the file. They have no mistakes.

    Raises:
        ConfigError: the file cannot be read, or has mistakes; the error lists all of them,
            each with file, line and key.
    """
    file = os.fspath(path)
    try:
        # With or without the mark that some editors put before UTF-8.
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        mistake = f"cannot be read: {error.strerror or error}"
        raise _config_error(file, [f"{file}: {mistake}"]) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        mistake = f"not UTF-8: byte 0x{error.object[error.start]:02x}; save the file as UTF-8"
        raise _config_error(file, [f"{file}:{line}: {mistake}"]) from error
    return parse_cluster_file(text, file=file, resolve=resolve, environment=environment)


def parse_cluster_file(
    text: str,
    *,
    file: str = "cluster.toml",
    resolve: TypeResolver = find_type,
    environment: Mapping[str, str] | None = None,
) -> ClusterConfig:
    """Check the text of a cluster file.

    Args:
        text: what the file holds.
        file: the name of the file for the error; nothing is read from it.
        resolve: as for ``load_cluster_file``.
        environment: as for ``load_cluster_file``.

    Returns:
        The definitions in the text. They have no mistakes.

    Raises:
        ConfigError: the text has mistakes; the error lists all of them, each with file,
            line and key.
    """
    try:
        document = read_toml(text)
    except TomlSyntaxError as error:
        place = "".join(f":{number}" for number in (error.line, error.column) if number)
        raise _config_error(file, [f"{file}{place}: not TOML: {error}"]) from None
    surroundings = Surroundings(resolve, os.environ if environment is None else environment)
    errors: list[ErrorDetails] = []
    try:
        tables = Document.model_validate(document.values, context=surroundings)
    except pydantic.ValidationError as error:
        tables = Document()
        errors = error.errors(include_url=False)
    # Raised outside of the except block: pydantic's error holds values that may be secret,
    # so it must not become the context of ours.
    mistakes = [_explain(error) for error in errors]
    mistakes += _dependency_mistakes(document.values, [error["loc"] for error in errors])
    if mistakes:
        found = sorted(
            ((document.line(path), path, size, text) for path, size, text in mistakes),
            key=lambda mistake: mistake[0],
        )
        lines = [f"{file}:{line}: {_place(path, size)}: {text}" for line, path, size, text in found]
        raise _config_error(file, lines)
    return _define(tables, document, surroundings)


def _config_error(file: str, mistakes: list[str]) -> ConfigError:
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return ConfigError("\n  ".join([f"{file} has {count}:", *mistakes]), mistakes)


# --- mistakes --------------------------------------------------------------------------


def _explain(error: ErrorDetails) -> tuple[TomlPath, int, str]:
    """Say where a mistake is, how many parts of that name the table, and what is wrong."""
    path, kind, value = error["loc"], error["type"], error["input"]
    if kind == "missing":
        path, text = path[:-1], f'{path[-1]} is missing; write for example type = "process"'
    elif kind == "extra_forbidden":
        text = f"not known{suggest(str(path[-1]), keys_of(path[:-1]))}"
        if path[0] == "groups" and path[2:] == ("failover",):
            text = (
                "not supported yet: a cluster has one node, so there is none to fail over to;"
                " remove this key"
            )
    elif kind in _NO_TABLE:
        # In "db = 5" the key is db, and the table is the one around it.
        return path, min(_table_size(path), len(path) - 1), f"must be a table, not {shown(value)}"
    elif kind in ("enum", "literal_error"):
        known = re.findall("'(.*?)'", error["ctx"]["expected"])
        text = f"{shown(value)} is not known{suggest(str(value), known)}"
    elif kind in _KINDS:
        text = f"must be {_KINDS[kind]}, not {shown(value)}"
    else:
        text = str(error.get("ctx", {}).get("error", error["msg"]))
        if path[2:] == ("[key]",):
            path = path[:2]  # The mistake is the name itself.
    return path, _table_size(path), " ".join(text.splitlines())


def _dependency_mistakes(
    values: Mapping[str, Any], wrong: list[TomlPath]
) -> Iterator[tuple[TomlPath, int, str]]:
    """Find the mistakes in the dependencies of all resources together.

    Values with mistakes of their own count as if they were not set.
    """
    tables = values.get("resources")
    found = tables.items() if isinstance(tables, dict) else ()
    resources = {name: table for name, table in found if isinstance(table, dict)}
    skipped = frozenset(wrong)

    def read(name: str, key: str, default: Any) -> Any:
        is_wrong = ("resources", name, key) in skipped
        return default if is_wrong else resources[name].get(key, default)

    dependencies = {name: to_dependencies(read(name, "depends_on", [])) for name in resources}
    groups = {name: read(name, "group", DEFAULT_GROUP) for name in resources}
    for owner, text in find_mistakes(dependencies, groups):
        yield ("resources", owner, "depends_on"), 2, text


def _table_size(path: TomlPath) -> int:
    """How many parts of a path name the section of the file in which it lies."""
    if path[0] == "resources" and path[2:3] == ("properties",):
        return 3
    return min(len(path), {"cluster": 1, "groups": 2, "resources": 2}.get(str(path[0]), 0))


def _place(path: TomlPath, size: int) -> str:
    table, key = _dotted(path[:size]), _dotted(path[size:])
    return " ".join(part for part in (table and f"[{table}]", key) if part)


def _dotted(path: TomlPath) -> str:
    return ".".join(
        part if isinstance(part, str) and _BARE_KEY.fullmatch(part) else repr(part) for part in path
    )


# --- definitions -----------------------------------------------------------------------


def _define(tables: Document, document: TomlDocument, surroundings: Surroundings) -> ClusterConfig:
    groups = {
        name: GroupConfig(
            name=name,
            description=table.description,
            autostart=table.autostart,
            line=document.line(("groups", name)),
        )
        for name, table in tables.groups.items()
    }
    for table in tables.resources.values():
        groups.setdefault(table.group, GroupConfig(name=table.group))
    resources = {
        name: _resource(name, table, groups[table.group], document, surroundings)
        for name, table in tables.resources.items()
    }
    return ClusterConfig(**dict(tables.cluster), groups=groups, resources=resources)


def _resource(
    name: str,
    table: ResourceTable,
    group: GroupConfig,
    document: TomlDocument,
    surroundings: Surroundings,
) -> ResourceConfig:
    handler = surroundings.handlers[table.type]
    of_type, deadlines, poll = handler.type_info, table.deadlines, table.poll
    return ResourceConfig(
        name=name,
        type=table.type,
        handler=handler,
        group=table.group,
        description=table.description,
        depends_on=table.depends_on,
        properties=table.properties,
        deadlines=deadlines.onto(of_type.deadlines) if deadlines.values() else None,
        poll=poll.onto(PollIntervals()) if poll.values() else None,
        restart=table.restart.onto(RestartPolicy()),
        autostart=group.autostart if table.autostart is None else table.autostart,
        line=document.line(("resources", name)),
    )

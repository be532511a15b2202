"""Reading a cluster file: its tables as definitions, or all its mistakes, each with its place."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pydantic

from .._errors import ConfigError
from .._model.dependencies import find_mistakes
from .._util.spelling import suggest
from ._definition import DEFAULT_GROUP, ClusterConfig, GroupConfig
from ._positions import TomlSyntaxError, read_toml, shown
from ._schema import Document, Mistakes, keys_of, to_dependencies
from ._types import find_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic_core import ErrorDetails

    from ._positions import TomlPath
    from ._schema import TypeResolver

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_KINDS: Final = {
    "bool_type": "true or false",
    "dict_type": "a table",
    "model_type": "a table",
    "string_type": "a string",
}
_NO_FAILOVER: Final = (
    "not supported yet: a cluster has one node, so there is none to fail over to; remove this key"
)


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
        mistake = f"{file}: cannot be read: {error.strerror or error}"
        raise _config_error(file, [mistake]) from error
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
    variables = os.environ if environment is None else environment
    context = {"resolve": resolve, "environment": variables}
    tables = Document()
    errors: list[ErrorDetails] = []
    try:
        tables = Document.model_validate(document.values, context=context)
    except pydantic.ValidationError as error:
        errors = error.errors(include_url=False)
    # Raised outside of the except block: pydantic's error holds values that may be secret,
    # so it must not become the context of ours.
    mistakes = [mistake for error in errors for mistake in _explain(error)]
    mistakes += _dependency_mistakes(document.values, [error["loc"] for error in errors])
    mistakes += _name_clashes(document.values, [path for path, _ in mistakes])
    if mistakes:
        found = [(document.line(path), _place(path, text), text) for path, text in mistakes]
        found.sort(key=lambda mistake: mistake[0])
        lines = [f"{file}:{line}: {place}: {text}" for line, place, text in found]
        # The words of a type may have several lines, but a mistake is one line.
        raise _config_error(file, [" ".join(line.splitlines()) for line in lines])
    groups = {
        name: GroupConfig(name=name, line=document.line(("groups", name)), **dict(table))
        for name, table in tables.groups.items()
    }
    resources = {
        name: table.define(
            name,
            document.values["resources"][name]["type"],
            tables.cluster,
            groups.setdefault(table.group, GroupConfig(name=table.group)),
            document.line(("resources", name)),
        )
        for name, table in tables.resources.items()
    }
    return ClusterConfig(groups=groups, resources=resources, **dict(tables.cluster))


def _config_error(file: str, mistakes: list[str]) -> ConfigError:
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return ConfigError("\n  ".join([f"{file} has {count}:", *mistakes]), mistakes)


def _explain(error: ErrorDetails) -> Iterator[tuple[TomlPath, str]]:
    """Yield where in the file a mistake is, and what is wrong."""
    path, kind, shown_value = error["loc"], error["type"], shown(error["input"])
    context = error.get("ctx", {})
    raised = context.get("error", error["msg"])
    if kind == "missing":
        yield path[:-1], f'{path[-1]} is missing; write for example type = "process"'
    elif kind == "extra_forbidden" and path[0] == "groups" and path[2:] == ("failover",):
        yield path, _NO_FAILOVER
    elif kind == "extra_forbidden":
        yield path, f"not known{suggest(str(path[-1]), keys_of(path[:-1]))}"
    elif kind in ("enum", "literal_error"):
        known = re.findall("'(.*?)'", context["expected"])
        yield path, f"{shown_value} is not known{suggest(str(error['input']), known)}"
    elif kind in _KINDS:
        yield path, f"must be {_KINDS[kind]}, not {shown_value}"
    elif isinstance(raised, Mistakes):
        yield from (((*path, *place), text) for place, text in raised.found.items())
    else:
        # Of a name, pydantic calls the place "[key]"; the table itself has the mistake.
        yield path[:2] if path[2:] == ("[key]",) else path, str(raised)


def _dependency_mistakes(
    values: Mapping[str, Any], wrong: list[TomlPath]
) -> Iterator[tuple[TomlPath, str]]:
    """Yield the mistakes in the dependencies of all resources together.

    Values with mistakes of their own, whose places are given, count as if they were not set.
    """
    found = values.get("resources")
    tables = found.items() if isinstance(found, dict) else ()
    skipped = frozenset(wrong)
    dependencies, groups = {}, {}
    for name, table in tables:
        if isinstance(table, dict):
            right = {key: table[key] for key in table if ("resources", name, key) not in skipped}
            dependencies[name] = to_dependencies(right.get("depends_on", []))
            groups[name] = right.get("group", DEFAULT_GROUP)
    for owner, text in find_mistakes(dependencies, groups):
        yield ("resources", owner, "depends_on"), text


def _name_clashes(
    values: Mapping[str, Any], wrong: list[TomlPath]
) -> Iterator[tuple[TomlPath, str]]:
    """Yield each resource that is named like a group; commands take names of both.

    Names with mistakes of their own, whose places are given, are left out.
    """
    resources, described = values.get("resources"), values.get("groups")
    tables = resources if isinstance(resources, dict) else {}
    groups = dict.fromkeys(described) if isinstance(described, dict) else {}
    for table in tables.values():
        group = table.get("group", DEFAULT_GROUP) if isinstance(table, dict) else None
        if isinstance(group, str):
            groups[group] = None
    for name in tables:
        # A name that cannot be a name at all is a mistake already.
        if name in groups and ("resources", name) not in wrong:
            yield ("resources", name), f"there is also a group named {name!r}; rename either"


def _place(path: TomlPath, text: str) -> str:
    """Show a place as ``[table] key``."""
    size = {"cluster": 1, "groups": 2, "resources": 2}.get(str(path[0]), 0)
    if path[0] == "resources" and path[2:3] == ("properties",):
        size = 3
    # In "db = 5" the key is db, and the table is the one around it.
    size = min(size, len(path) - text.startswith(f"must be {_KINDS['dict_type']}"))
    table, key = _dotted(path[:size]), _dotted(path[size:])
    return " ".join(part for part in (table and f"[{table}]", key) if part)


def _dotted(path: TomlPath) -> str:
    return ".".join(
        part if isinstance(part, str) and _BARE_KEY.fullmatch(part) else repr(part) for part in path
    )

"""Finds resource types by name: registered by a distribution, or ``package.module:Class``.

A distribution registers its types in its pyproject.toml, as this project does::

    [project.entry-points."trioresource.types"]
    database = "shop.resources:Database"
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .._errors import UnknownType
from .._handler import ResourceHandler
from ._definition import ClusterConfig, TypeDescription, config_error, parse_cluster_file

if TYPE_CHECKING:
    from collections.abc import Mapping

ENTRY_POINT_GROUP: Final = "trioresource.types"
"""The group of entry points in which types are registered."""
_OWN_PACKAGE: Final = __name__.partition(".")[0]


def known_types() -> dict[str, EntryPoint]:
    """The registered resource types by name, in sorted order; none is imported.

    Where two distributions register the same name, a type of this project comes before
    any other, and the first in the order of their values before the rest.
    """
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=_precedence):
        found.setdefault(point.name, point)
    return found


def _precedence(point: EntryPoint) -> tuple[str, bool, str]:
    return point.name, not point.value.startswith(f"{_OWN_PACKAGE}."), point.value


def find_type(name: str) -> type[ResourceHandler[Any]]:
    """Find the handler class of a resource type, importing its module.

    Args:
        name: a registered name (see ``known_types``), or ``package.module:Class``.

    Returns:
        The class.

    Raises:
        UnknownType: there is no such type, its module can not be imported, or what it
            names is not a resource handler.
    """
    if ":" in name:
        return _load(name, name)
    known = known_types()
    if name in known:
        return _load(known[name].value, f"{name} ({known[name].value})")
    closest = difflib.get_close_matches(name, known, n=1)
    raise UnknownType(
        f"no resource type is called {name!r}"
        + (f"; did you mean {closest[0]!r}?" if closest else ";")
        + f" known: {', '.join(known) or 'none'}; any other can be named as package.module:Class"
    )


def describe_type(name: str) -> TypeDescription:
    """What the cluster file needs to know of a resource type.

    Args:
        name: a registered name, or ``package.module:Class``.

    Raises:
        UnknownType: see ``find_type``.
    """
    handler = find_type(name)
    info = handler.type_info
    return TypeDescription(
        name=name,
        properties_type=handler.properties_type,
        property_defaults=info.property_defaults,
        deadlines=info.deadlines,
    )


def load_cluster_file(
    path: str | os.PathLike[str], *, environment: Mapping[str, str] | None = None
) -> ClusterConfig:
    """Read and check a cluster file; the modules of the types it names are imported.

    Args:
        path: the file.
        environment: the environment variables that properties may refer to; by default
            those of this process.

    Returns:
        The cluster, all of it checked.

    Raises:
        ConfigError: the file can not be read or has mistakes; the error lists them all.
    """
    file = os.fspath(path)
    try:
        # With or without the mark that some editors put before UTF-8.
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        mistake = f"can not be read: {error.strerror or error}"
        raise config_error(file, [f"{file}: {mistake}"]) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        mistake = f"not UTF-8: byte 0x{error.object[error.start]:02x}; save the file as UTF-8"
        raise config_error(file, [f"{file}:{line}: {mistake}"]) from error
    return parse_cluster_file(
        text,
        file=file,
        resolve=describe_type,
        environment=os.environ if environment is None else environment,
    )


def _load(place: str, shown: str) -> type[ResourceHandler[Any]]:
    """The class that ``package.module:Class`` names; ``shown`` is how errors call it."""
    # What follows in brackets are extras that an entry point may ask for.
    module_name, _, attribute = place.partition("[")[0].strip().partition(":")
    module_name, attribute = module_name.strip(), attribute.strip()
    if not module_name or not attribute or module_name.startswith("."):
        raise UnknownType(f"resource type {shown}: not of the form package.module:Class")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        # Whatever a module does when it is imported, it must not look like our failure.
        reason = f"{type(error).__name__}: {error}"
        raise UnknownType(
            f"resource type {shown}: module {module_name} can not be imported: {reason}"
        ) from error
    found: Any = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise UnknownType(
                f"resource type {shown}: module {module_name} has no {attribute!r};"
                f" resource handlers in it: {_handlers_in(module) or 'none'}"
            ) from error
    if isinstance(found, type) and issubclass(found, ResourceHandler):
        return found
    advice = "a resource type is a subclass of trioresource.ResourceHandler"
    if inspect.iscoroutinefunction(found):
        advice = (
            'to run an async function, write type = "service"'
            f' and properties = {{ function = "{module_name}:{attribute}" }}'
        )
    raise UnknownType(f"resource type {shown}: not a resource handler; {advice}")


def _handlers_in(module: object) -> str:
    return ", ".join(
        name
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, ResourceHandler)
        and value is not ResourceHandler
        # Defined in this module; a class may name the public package that it is exported from.
        and f"{vars(module)['__name__']}.".startswith(f"{value.__module__}.")
    )

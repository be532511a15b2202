"""Find resource types by name: registered by a distribution, or ``package.module:Class``.

A distribution registers its types in its pyproject.toml, as this project does:

```toml
[project.entry-points."trioresource.types"]
database = "shop.resources:Database"
```
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from .._errors import UnknownType
from .._handler import ResourceHandler
from .._util.spelling import suggest

HandlerClass = type[ResourceHandler[Any]]

ENTRY_POINT_GROUP: Final = "trioresource.types"
"""The group of entry points in which types are registered."""
_OWN_PACKAGE: Final = __name__.partition(".")[0]


def known_types() -> dict[str, EntryPoint]:
    """List the registered resource types; none of them is imported.

    Where two distributions register the same name, the type of this project counts; if
    there is none, the first in the order of the values.

    Returns:
        The entry points by name, in sorted order.
    """
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=_precedence):
        found.setdefault(point.name, point)
    return found


def _precedence(point: EntryPoint) -> tuple[str, bool, str]:
    return point.name, not point.value.startswith(f"{_OWN_PACKAGE}."), point.value


def find_type(name: str) -> HandlerClass:
    """Find the handler class of a resource type, and import its module.

    Args:
        name: a registered name (see ``known_types``), or ``package.module:Class``.

    Returns:
        The class.

    Raises:
        UnknownType: no type is registered under the name, its module cannot be imported,
            or the name stands for something else than a resource handler.
    """
    if ":" in name:
        return _load(name, name)
    known = known_types()
    if name in known:
        return _load(known[name].value, f"{name} ({known[name].value})")
    raise UnknownType(
        f"no resource type is called {name!r}{suggest(name, known)};"
        " any other can be named as package.module:Class"
    )


def _load(place: str, shown: str) -> HandlerClass:
    """Import the class that ``package.module:Class`` names; errors call it ``shown``."""
    # What follows in brackets are extras that an entry point may ask for.
    module_name, _, attribute = place.partition("[")[0].partition(":")
    module_name, attribute = module_name.strip(), attribute.strip()
    if not module_name or not attribute or module_name.startswith("."):
        raise UnknownType(f"resource type {shown}: not of the form package.module:Class")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        # Whatever a module does when it is imported, it must not look like a failure of ours.
        reason = f"{type(error).__name__}: {error}"
        raise UnknownType(
            f"resource type {shown}: module {module_name} cannot be imported: {reason}"
        ) from error
    try:
        found = pkgutil.resolve_name(f"{module_name}:{attribute}")
    except (AttributeError, ValueError) as error:
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

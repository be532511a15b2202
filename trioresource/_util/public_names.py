"""Let public names say where users import them from.

The code lies in private modules. Without this, error messages, ``repr()``, pickles and
documentation would name those modules.
"""

from __future__ import annotations

from functools import cached_property
from types import FunctionType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def publish(module: str, namespace: Mapping[str, object]) -> None:
    """Set ``__module__`` of the public classes and functions of a module to that module.

    Also of what the classes themselves define: methods, properties, nested classes. Left alone
    are names that begin with an underscore, what other packages have made, and what another
    public module has published before.

    A module that loads its names late (PEP 562) can call this for each name as it is loaded.

    Args:
        module: the name of the module that users import from.
        namespace: its names, such as ``globals()``.
    """
    for name, value in namespace.items():
        if not name.startswith("_") and isinstance(value, type | FunctionType):
            _publish(module, name, name, value)


def _publish(module: str, name: str, qualname: str, value: type | FunctionType) -> None:
    if not _is_private(value.__module__, within=module.partition(".")[0]):
        return
    before = value.__qualname__
    value.__module__, value.__name__, value.__qualname__ = module, name, qualname
    if not isinstance(value, type):
        return
    for attribute, member in tuple(vars(value).items()):
        for part in _parts(member):
            # Only what was defined in the class: an attribute may also refer to a class or
            # function that has a name of its own.
            if isinstance(part, type | FunctionType) and part.__qualname__ == (
                f"{before}.{attribute}"
            ):
                _publish(module, attribute, f"{qualname}.{attribute}", part)


def _parts(member: object) -> list[object]:
    """Return the functions that a member of a class wraps, or else the member."""
    if isinstance(member, staticmethod | classmethod):
        return [member.__func__]
    if isinstance(member, cached_property):
        return [member.func]
    if isinstance(member, property):
        return [member.fget, member.fset, member.fdel]
    return [member]


def _is_private(module: str, *, within: str) -> bool:
    """Say whether a module is a private one of the package ``within``."""
    package, *rest = module.split(".")
    return package == within and any(part.startswith("_") for part in rest)

"""Let public names say where users import them from, not where they are defined."""

from __future__ import annotations

import inspect
from functools import cached_property
from types import FunctionType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def rewrite_module(namespace: Mapping[str, object], module: str) -> None:
    """Set ``__module__`` of the classes and functions that a public module exports.

    Tracebacks, ``repr()``, pickles and documentation then name the public module. Also
    rewritten is what the classes themselves define: methods, properties, nested classes. Left
    alone are names that begin with an underscore, what another distribution defines, and what
    another public module exports.

    Args:
        namespace: the names of the module, such as its ``globals()``.
        module: the full name of the module.
    """
    for name, value in namespace.items():
        if not name.startswith("_") and isinstance(value, type | FunctionType):
            _rewrite(value, module, name, name)


def _rewrite(value: type | FunctionType, module: str, name: str, qualname: str) -> None:
    if not _is_defined_below(value.__module__, module):
        return
    before = value.__qualname__
    if isinstance(value, type):
        _resolve_annotations(value)
    value.__module__, value.__name__, value.__qualname__ = module, name, qualname
    if not isinstance(value, type):
        return
    for attribute, member in tuple(vars(value).items()):
        for part in _parts(member):
            # Only what is defined in the class. An attribute may also refer to a class or
            # function that is defined elsewhere, and has a name of its own.
            if isinstance(part, type | FunctionType) and part.__qualname__ == (
                f"{before}.{attribute}"
            ):
                _rewrite(part, module, attribute, f"{qualname}.{attribute}")


def _parts(member: object) -> list[object]:
    """Return the functions that a member of a class wraps, or else the member itself."""
    if isinstance(member, staticmethod | classmethod):
        return [member.__func__]
    if isinstance(member, cached_property):
        return [member.func]
    if isinstance(member, property):
        return [member.fget, member.fset, member.fdel]
    return [member]


def _is_defined_below(defined_in: str, module: str) -> bool:
    """Whether users should import from ``module`` what is defined in another module."""
    if defined_in.startswith(f"{module}."):
        return True
    package, *rest = defined_in.split(".")
    return package == module.partition(".")[0] and any(part.startswith("_") for part in rest)


def _resolve_annotations(cls: type) -> None:
    """Replace the annotations that are still text by what they mean.

    ``get_type_hints``, attrs and pydantic look names up in ``cls.__module__``. After the
    rewrite they would miss what the defining module has imported.
    """
    try:
        cls.__annotations__ = inspect.get_annotations(cls, eval_str=True)
    except NameError:
        # A name is imported for type checkers only: it could never be looked up.
        return

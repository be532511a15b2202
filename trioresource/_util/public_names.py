"""Let public names say where users import them from, not where they are defined."""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def rewrite_module(namespace: Mapping[str, Any], module: str) -> None:
    """Set ``__module__`` of the classes and functions that a public module exports.

    Tracebacks, ``repr``, pickles and documentation then name the public module. Private
    names and what another distribution defines stay as they are.

    Args:
        namespace: the names of the module, such as its ``vars()``.
        module: the full name of the module.
    """
    package = module.partition(".")[0]
    for name, value in namespace.items():
        if name.startswith("_") or not isinstance(value, type | FunctionType):
            continue
        if value.__module__ == module or value.__module__.partition(".")[0] != package:
            continue
        if isinstance(value, type):
            _resolve_annotations(value)
        value.__module__ = module


def _resolve_annotations(cls: type[Any]) -> None:
    """Replace the annotations that are still text by what they mean.

    ``get_type_hints``, attrs and pydantic look names up in ``cls.__module__``. After the
    rewrite they would miss what the defining module has imported.
    """
    try:
        cls.__annotations__ = inspect.get_annotations(cls, eval_str=True)
    except NameError:
        # A name is imported for type checkers only: it could never be looked up.
        return

"""What users import from the kit: where it says that it comes from, and what they may make."""

from __future__ import annotations

import ast
import builtins
import contextlib
import inspect
import pickle
import re
import typing
from collections import abc
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import pytest

import trioresource
from trioresource import testing
from trioresource.testing import EventRecorder, Faults, NoLeaks, SimulatedCluster, explore

if TYPE_CHECKING:
    from collections.abc import Iterator

PUBLIC = {
    name: getattr(testing, name)
    for name in dir(testing)
    if not name.startswith("_")
    and not isinstance(getattr(testing, name), ModuleType)
    and name not in {"TYPE_CHECKING", "annotations"}
}


def functions_of(cls: type) -> Iterator[tuple[str, FunctionType]]:
    for name, member in vars(cls).items():
        wrapped = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
        if isinstance(wrapped, FunctionType) and not name.startswith("_"):
            yield name, wrapped


@pytest.mark.parametrize("name", PUBLIC)
def test_where_it_comes_from(name: str) -> None:
    value = PUBLIC[name]
    if not isinstance(value, type | FunctionType):
        # An alias of a type has no module of its own.
        return
    assert (value.__module__, value.__name__, value.__qualname__) == (
        "trioresource.testing",
        name,
        name,
    )
    if isinstance(value, type):
        for method, function in functions_of(value):
            assert function.__module__ == "trioresource.testing", method
            assert function.__qualname__ == f"{name}.{method}"


def test_errors_and_values_name_the_public_module() -> None:
    async def fails() -> None:
        raise testing.Leaked("left behind")

    failure = explore(fails, check=False).failure
    assert failure is not None
    assert isinstance(failure.error, testing.Leaked)
    again = pickle.loads(pickle.dumps(failure.error))
    assert type(again) is testing.Leaked
    assert b"_scheduling" not in pickle.dumps(failure.error)


@pytest.mark.parametrize("cls", [EventRecorder, Faults, NoLeaks, SimulatedCluster])
def test_what_the_kit_makes_has_no_public_constructor(cls: type) -> None:
    with pytest.raises(TypeError, match=f"^trioresource.testing.{cls.__name__} has no public con"):
        cls()


def mentioned(annotation: object) -> Iterator[str]:
    """The names of the types in an annotation."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    # A class of this package is known by its own name, wherever it is defined.
    text = re.sub(r"\btrioresource(\.\w+)*\.(\w+)", r"\2", text)
    return (node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name))


def annotations_of(value: Any) -> Iterator[object]:
    if isinstance(value, FunctionType):
        yield from inspect.get_annotations(value).values()
    elif isinstance(value, type):
        for name, annotation in inspect.get_annotations(value).items():
            if not name.startswith("_"):
                yield annotation
        for _, function in functions_of(value):
            yield from inspect.get_annotations(function).values()


def test_every_type_that_users_meet_is_exported() -> None:
    known = {*dir(builtins), *typing.__all__, *abc.__all__, *contextlib.__all__}
    # Types of the top-level package, modules that annotations name, and type variables.
    known |= {*dir(trioresource), "HandlerFactory", *PUBLIC}
    known |= {"trio", "signal", "contextlib", "typing", "collections", "types", "T", "P"}
    known |= {"TracebackType"}
    missing = {
        (name, mention)
        for name, value in PUBLIC.items()
        for annotation in annotations_of(value)
        for mention in mentioned(annotation)
        if mention not in known
    }
    assert not missing


def test_every_name_is_on_a_page_of_the_reference() -> None:
    docs = Path(__file__).parents[2] / "docs"
    pages = (docs / "reference" / "testing.md").read_text() + (docs / "conformance.md").read_text()
    missing = [name for name in PUBLIC if f"::: trioresource.testing.{name}\n" not in pages]
    assert not missing

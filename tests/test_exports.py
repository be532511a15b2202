"""The public face: which names there are, where they come from, and what importing them costs."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import re
import subprocess
import sys
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest
from pydantic import BaseModel

import trioresource
from trioresource._util.construction import NoPublicConstructor
from trioresource.resources import ProcessProperties

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = sorted((ROOT / "docs").rglob("*.md"))
PUBLIC: Final = (
    "trioresource",
    "trioresource.config",
    "trioresource.resources",
    "trioresource.testing",
    "trioresource.testing.hypothesis",
)


def source_of(module: str) -> Path:
    file = importlib.import_module(module).__file__
    assert file is not None
    return Path(file)


def parse(module: str) -> ast.Module:
    return ast.parse(source_of(module).read_text(encoding="utf-8"))


def type_checking_block(tree: ast.Module) -> list[ast.stmt]:
    """What only type checkers read."""
    return [
        statement
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for statement in block.body
    ]


def names_of(module: str) -> list[str]:
    """The public names of a module: what it defines, and what it imports "as" the same name."""
    tree, names = parse(module), dict[str, None]()
    for statement in (*tree.body, *type_checking_block(tree)):
        if isinstance(statement, ast.ImportFrom):
            found = [name.name for name in statement.names if name.asname == name.name]
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found = [statement.name]
        else:
            found = [] if is_type_variable(statement) else assigned_by(statement)
        names |= dict.fromkeys(name for name in found if not name.startswith("_"))
    return list(names)


def assigned_by(statement: ast.stmt) -> list[str]:
    """The names that a statement of a module assigns to."""
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    else:
        return []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def is_type_variable(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign) and bool(
        re.match(r"(\w+\.)?(TypeVar|TypeVarTuple|ParamSpec)\(", ast.unparse(statement.value))
    )


EXPORTS: Final = {
    (module, name): getattr(importlib.import_module(module), name)
    for module in PUBLIC
    for name in names_of(module)
}
MADE_BY_THE_LIBRARY: Final = (
    "trioresource.Cluster",
    "trioresource.Group",
    "trioresource.HostedResource",
    "trioresource.Resource",
    "trioresource.ResourceMonitor",
    "trioresource.Subscription",
    "trioresource.resources.RunningProcess",
)
"""Classes that users do not construct."""


ALL: Final = [pytest.param(*where, id=".".join(where)) for where in EXPORTS]


MADE: Final = [
    value
    for (module, name), value in EXPORTS.items()
    if f"{module}.{name}" in MADE_BY_THE_LIBRARY or isinstance(value, NoPublicConstructor)
]


# --- what importing costs ----------------------------------------------------------------


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a piece of code."""
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('loaded', *sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return set(ran.stdout.rpartition("loaded ")[2].split())


def packages(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


def own(modules: set[str]) -> set[str]:
    return {module for module in modules if module.startswith("trioresource.")}


HEAVY: Final = {"trio", "anyio", "pydantic", "attr", "attrs", "cyclopts", "rich", "h11"}
KIT: Final = {"pytest", "hypothesis", "trioresource.testing", "trioresource.pytest_plugin"}
COMMAND: Final = {"cyclopts", "rich", "trioresource._cli"}


def test_importing_the_package_loads_nothing_else() -> None:
    loaded = loaded_by("import trioresource")
    assert own(loaded) == set()
    assert not HEAVY & packages(loaded)


def test_using_the_package_loads_no_test_kit_and_no_command_line() -> None:
    loaded = loaded_by("from trioresource import open_cluster, open_monitor")
    assert "trio" in loaded
    assert not (KIT | COMMAND) & loaded


def test_the_version_loads_no_engine() -> None:
    loaded = loaded_by("from trioresource._cli.main import main; main(['--version'])")
    assert own(loaded) == {
        "trioresource._cli",
        "trioresource._cli.exit_status",
        "trioresource._cli.main",
        "trioresource._cli.version",
    }
    assert not HEAVY & packages(loaded)


def test_the_pytest_plugin_loads_nothing_of_the_package() -> None:
    loaded = loaded_by("import trioresource.pytest_plugin")
    assert own(loaded) == {"trioresource.pytest_plugin"}
    assert not HEAVY - {"attr", "attrs", "rich"} & packages(loaded)


# --- names that are loaded upon first use ----------------------------------------------------


def test_what_type_checkers_read_is_what_is_loaded() -> None:
    tree = parse("trioresource")
    read: dict[str, list[str]] = {}
    for statement in type_checking_block(tree):
        if isinstance(statement, ast.ImportFrom):
            module = "." * statement.level + (statement.module or "")
            read.setdefault(module, []).extend(name.name for name in statement.names)
    tables = [
        ast.literal_eval(statement.value)
        for statement in tree.body
        if isinstance(statement, ast.Assign) and assigned_by(statement) == ["_DEFINED_IN"]
    ]
    assert tables == [{module: " ".join(names) for module, names in read.items()}]


def test_every_name_is_listed_and_can_be_imported_before_the_first_use() -> None:
    code = """
import trioresource
listed, there = set(dir(trioresource)), set(vars(trioresource))
assert there <= listed
from trioresource import *
print("names", *sorted(set(globals()) & listed - there))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ran.stdout.split() == ["names", *sorted(names_of("trioresource"))]


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(AttributeError, match=r"^module 'trioresource' has no attribute 'nonsense'"):
        _ = trioresource.nonsense  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


# --- documentation -----------------------------------------------------------------------


def documented() -> list[str]:
    """Every identifier that the pages of the documentation describe."""
    return [
        identifier
        for page in PAGES
        for identifier in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    ]


@pytest.mark.parametrize(("module", "name"), ALL)
def test_it_is_described_on_one_page(module: str, name: str) -> None:
    assert documented().count(f"{module}.{name}") + documented().count(module) == 1


def test_what_is_described_can_be_imported() -> None:
    exported = {".".join(where) for where in EXPORTS}
    others = [name for name in documented() if name not in exported and name not in PUBLIC]
    assert sorted(others) == []


@pytest.mark.parametrize(("module", "name"), ALL)
def test_it_has_a_docstring_of_its_own(module: str, name: str) -> None:
    value = EXPORTS[module, name]
    if isinstance(value, type):
        assert value.__doc__
        assert value.__doc__ not in [base.__doc__ for base in value.__mro__[1:]]
    elif isinstance(value, types.FunctionType):
        assert value.__doc__
    else:
        assert docstring_of_value(name, value), "no text follows its assignment"


def docstring_of_value(name: str, value: object) -> str:
    for source in defining_modules(name, value):
        body = parse(source).body
        for statement, following in itertools.pairwise(body):
            if name in assigned_by(statement) and isinstance(following, ast.Expr):
                return str(ast.literal_eval(following.value))
    return ""


def defining_modules(name: str, value: object) -> list[str]:
    """The private modules, loaded by now, that have this value under this name."""
    return [
        module
        for module, loaded in sorted(sys.modules.items())
        if module.startswith("trioresource.") and vars(loaded).get(name) is value
    ]


# --- where names say they come from ----------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "name"),
    [
        pytest.param(module, name, id=f"{module}.{name}")
        for (module, name), value in EXPORTS.items()
        if isinstance(value, type | types.FunctionType)
    ],
)
def test_it_says_where_to_import_it_from(module: str, name: str) -> None:
    assert EXPORTS[module, name].__module__ == module


def test_an_error_that_is_never_named_says_where_to_import_it_from() -> None:
    code = """
import sys, trioresource
trioresource.ClusterEvent
raise sys.modules["trioresource._errors"].OnlineFailed("no luck")
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert ran.stderr.splitlines()[-1] == "trioresource.OnlineFailed: no luck"


@pytest.mark.parametrize(
    "value",
    [value for value in EXPORTS.values() if isinstance(value, type) and attrs.has(value)],
)
def test_annotations_of_values_can_be_read_at_run_time(value: type[Any]) -> None:
    """Serialisers look them up in the module that a class says it comes from."""
    hints = typing.get_type_hints(value)
    assert {field.name for field in attrs.fields(value)} <= hints.keys()


class OwnProcess(ProcessProperties):
    """The base says that it comes from a module which lacks what its annotations name."""

    size: int = 1


def test_a_shipped_parameter_block_can_be_extended() -> None:
    assert OwnProcess(command=("a", "b"), size=2).stop_grace == 10.0
    with pytest.raises(ValueError, match="stop_signal"):
        OwnProcess(command=("a",), stop_signal="NONSENSE")


@pytest.mark.parametrize(
    "path",
    MADE_BY_THE_LIBRARY,
)
def test_what_only_the_library_makes_has_no_public_constructor(path: str) -> None:
    module, _, name = path.rpartition(".")
    with pytest.raises(TypeError, match=r"no public constructor|abstract class"):
        EXPORTS[module, name]()


# --- every type that is mentioned can be imported ----------------------------------------------


def namespace_of(module: str) -> dict[str, Any]:
    """The names of a module, with those that only type checkers import."""
    block = type_checking_block(parse(module))
    namespace = dict(vars(sys.modules[module]))
    exec(compile(ast.Module(block, []), module, "exec"), namespace)
    return namespace


def hints_of(value: Any, module: str) -> dict[str, Any]:
    return typing.get_type_hints(value, namespace_of(module), include_extras=True)


def types_in(hint: Any) -> Iterator[type]:
    """The classes that an annotation mentions."""
    if isinstance(hint, typing.TypeVar):
        yield from types_in(hint.__bound__)
    if isinstance(hint, list | tuple):
        for part in hint:
            yield from types_in(part)
    origin = typing.get_origin(hint)
    if origin is not None:
        yield from types_in(origin)
        yield from types_in(typing.get_args(hint))
    elif isinstance(hint, type):
        yield hint


def is_ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "trioresource"


def source_of_class(cls: type) -> str:
    """The module that defines a class; ``__module__`` says where users import it from."""
    for module in defining_modules(cls.__name__, cls):
        for statement in parse(module).body:
            if isinstance(statement, ast.ClassDef) and statement.name == cls.__name__:
                return module
    raise AssertionError(cls)


def mentioned_by(value: Any) -> Iterator[type]:
    """The classes that a public value contains, or that its signature mentions."""
    if isinstance(value, types.FunctionType):
        function = inspect.unwrap(value)
        hints = hints_of(function, function.__globals__["__name__"])
        yield from types_in(tuple(hints.values()))
    elif isinstance(value, type):
        for base in value.__mro__:
            if is_ours(base):
                yield from mentioned_by_class(base, is_made_by_us=value in MADE)
    else:
        yield from types_in(value)


def mentioned_by_class(cls: type, *, is_made_by_us: bool) -> Iterator[type]:
    hints = hints_of(cls, source_of_class(cls))
    fields_are_arguments = not is_made_by_us and (attrs.has(cls) or issubclass(cls, BaseModel))
    for name in inspect.get_annotations(cls):
        if fields_are_arguments or not name.startswith("_"):
            yield from types_in(hints[name])
    for name, member in vars(cls).items():
        if name.startswith("_") and (is_made_by_us or name not in ("__init__", "__call__")):
            continue
        function = member.fget if isinstance(member, property) else member
        function = getattr(function, "__func__", function)
        # attrs makes functions, too; the fields tell of their arguments.
        if isinstance(function, types.FunctionType) and is_written(function):
            yield from mentioned_by(function)


def is_written(function: types.FunctionType) -> bool:
    return Path(function.__code__.co_filename).is_file()


@pytest.mark.parametrize(
    ("module", "name"),
    [pytest.param(*where, id=".".join(where)) for where in EXPORTS],
)
def test_every_type_that_it_mentions_is_exported(module: str, name: str) -> None:
    missing = {
        f"{cls.__module__}.{cls.__qualname__}"
        for cls in mentioned_by(EXPORTS[module, name])
        if is_ours(cls) and cls not in EXPORTS.values()
    }
    assert missing == set()


def test_public_paths_have_no_underscore() -> None:
    assert [module for module in PUBLIC if re.search(r"\b_", module)] == []

"""The resource type ``service``: which functions it takes, and how it runs them."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

import pytest
import trio

from trioresource._errors import PropertyError
from trioresource._model.properties import read_properties
from trioresource._model.states import ResourceState
from trioresource._monitor.monitor import open_monitor
from trioresource.resources.service import FunctionProperties, FunctionService, import_function

if TYPE_CHECKING:
    from pathlib import Path


async def serve(port: int, host: str = "", *, task_status: trio.TaskStatus[int]) -> None:
    task_status.started(port)
    await trio.sleep_forever()


async def anything(*args: Any, **options: Any) -> None: ...


@functools.wraps(serve)
def wrapped(*args: Any, **options: Any) -> Any:
    return serve(*args, **options)


async def no_status(port: int) -> None: ...


def plain(task_status: trio.TaskStatus[None]) -> None: ...


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sample", sys.modules[__name__])


def read(**properties: Any) -> FunctionProperties:
    return read_properties(FunctionProperties, properties, owner="a")


def mistakes(**properties: Any) -> list[str]:
    with pytest.raises(PropertyError) as caught:
        read(**properties)
    return list(caught.value.mistakes)


def test_functions_that_can_be_started() -> None:
    assert read(function="sample:serve", args=[80]).args == (80,)
    assert read(function="sample:wrapped", args=[80, "::1"]).args == (80, "::1")
    assert read(function="sample:anything").args == ()
    assert import_function("sample:serve") is serve
    assert FunctionService.type_info.name == "service"
    assert FunctionService.properties_type is FunctionProperties


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("sample.serve", "must have the form package.module:function, not 'sample.serve'"),
        ("sample:nothing", "sample:nothing cannot be imported: AttributeError"),
        ("no_such_module:f", "no_such_module:f cannot be imported: ModuleNotFoundError"),
        ("sample:plain", "sample:plain is not an async function"),
        ("sample:pytest", "sample:pytest is not an async function"),
        ("sample:no_status", "sample:no_status(port: 'int') -> 'None' does not take task_status"),
    ],
)
def test_functions_that_can_not(function: str, expected: str) -> None:
    (only,) = mistakes(function=function, args=[1])
    assert only.startswith("function: ")
    assert expected in only


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("import sys; sys.exit(3)", "quits:f cannot be imported: SystemExit: 3"),
        ("raise RuntimeError('no luck')", "quits:f cannot be imported: RuntimeError: no luck"),
        ("f(", "quits:f cannot be imported: SyntaxError: '(' was never closed"),
    ],
)
def test_a_module_that_can_not_be_imported(
    line: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "quits.py").write_text(line)
    monkeypatch.syspath_prepend(tmp_path)
    (only,) = mistakes(function="quits:f")
    assert only.startswith(f"function: {expected}")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({}, "missing a required argument: 'port'"),
        ({"args": [1, 2, 3]}, "too many positional arguments"),
    ],
)
def test_arguments_that_do_not_fit(args: dict[str, Any], expected: str) -> None:
    (only,) = mistakes(function="sample:serve", **args)
    assert only.startswith("args: ")
    assert "do not fit sample:serve(port" in only
    assert only.endswith(expected)


async def test_the_function_runs_while_the_resource_is_online(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with open_monitor() as monitor:
        web = await monitor.host(
            "web", FunctionService, properties={"function": "sample:serve", "args": [80]}
        )
        assert await web.online() is ResourceState.ONLINE
        assert web.value == 80
        assert await web.offline() is ResourceState.OFFLINE

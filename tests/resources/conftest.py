from __future__ import annotations

import itertools
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import trio

from trioresource._monitor import open_monitor
from trioresource.resources._process import session as sessions
from trioresource.resources.process import Process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from trioresource._monitor import HostedResource, ResourceMonitor

PYTHON: Final = sys.executable


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No test may leave a child, not even an unreaped one, or an open descriptor."""
    before = sorted(Path("/proc/self/fd").iterdir())
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def ports() -> Iterator[int]:
    """Give ports that other workers of pytest-xdist do not get, over and over.

    They lie below those that the kernel gives to clients, so that no connection takes one
    between the moment in which it is found to be free and its use.
    """
    count = 500
    first = 20_000 + count * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    for number in itertools.count(os.getpid()):
        yield first + number % count


PORTS: Final = ports()


@pytest.fixture
def free_port() -> int:
    for port in PORTS:
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("there are always more ports to try")


@pytest.fixture
async def monitor() -> AsyncIterator[ResourceMonitor]:
    async with open_monitor() as opened:
        yield opened


@pytest.fixture
def process(monitor: ResourceMonitor) -> Callable[..., Awaitable[HostedResource]]:
    """Hosts a process resource: ``await process(command, **properties)``."""

    async def host(
        command: Any, *, name: str = "p", deadlines: Any = None, poll: Any = None, **properties: Any
    ) -> HostedResource:
        return await monitor.host(
            name,
            Process,
            properties={"command": command, **properties},
            deadlines=deadlines,
            poll=poll,
        )

    return host


@pytest.fixture
def python() -> Callable[[str], list[str]]:
    """The command that runs a piece of Python."""
    return lambda code: [PYTHON, "-S", "-c", code]


@pytest.fixture
def members() -> Callable[[int], list[int]]:
    """Who lives in the session of a process."""
    return lambda pid: list(sessions.members(pid))


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Waits until something holds that no event tells of, such as the work of a process."""

    async def wait(holds: Callable[[], object]) -> None:
        with trio.fail_after(10):
            while not holds():  # noqa: ASYNC110
                await trio.sleep(0.001)

    return wait

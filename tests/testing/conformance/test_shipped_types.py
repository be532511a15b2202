"""The resource types of this project, and its examples, keep the contract."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, ClassVar

import pytest

from examples.anyio_handler import CounterServer
from examples.handler import EchoServer
from trioresource.resources import Endpoint, Process
from trioresource.testing import HandlerConformance, check_handler

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trioresource._handler import HandlerFactory

SERVER = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    listener.accept()[0].close()
"""


class TestProcess(HandlerConformance):
    handler: ClassVar[HandlerFactory | None] = Process
    properties: ClassVar[Mapping[str, object]] = {"command": ["sleep", "1000"]}
    failing: ClassVar[Mapping[str, object] | None] = {"command": ["/does/not/exist"]}
    real = True


@pytest.fixture
def port() -> Iterator[int]:
    """Where a program listens; one of its own, so that nothing of it counts as left behind."""
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.kill()


def test_endpoint(port: int) -> None:
    report = check_handler(Endpoint, properties={"tcp": f"127.0.0.1:{port}"}, real=True)
    assert report.failed == (), str(report)


@pytest.mark.parametrize("handler", [EchoServer, CounterServer])
def test_examples(handler: type[EchoServer | CounterServer]) -> None:
    report = check_handler(handler, real=True)
    assert report.failed == (), str(report)


def test_what_no_schedule_controls_is_named() -> None:
    report = check_handler(EchoServer, only=["C2"])
    assert report.failed == ("C2",)
    assert "real=True" in report.result("C2").detail

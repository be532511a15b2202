"""What systemd is told: the messages that come in at a real socket."""

from __future__ import annotations

import signal
import socket
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from trioresource._cli.service_manager import ServiceManager

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import ClusterFile, Start

FILE = """
    [resources.db]
    type = "TYPE:Good"

    [resources.bad]
    type = "TYPE:Bad"
    restart = { action = "none" }

    [resources.child]
    type = "trioresource.resources.process:Process"
    properties.command = ["sh", "-c", "test -z $NOTIFY_SOCKET && sleep 1000"]
"""


def manager(address: str) -> closing[socket.socket]:
    found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    found.settimeout(30)
    found.bind(address)
    return closing(found)


def receive_until(found: socket.socket, message: str) -> list[str]:
    messages: list[str] = []
    while message not in messages:
        messages.append(found.recv(4096).decode())
    return messages


@pytest.mark.parametrize("abstract", [False, True])
def test_a_run(
    abstract: bool,
    start: Start,
    cluster_file: ClusterFile,
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "notify")
    with manager("\0" + path if abstract else path) as found:
        running = start("run", cluster_file(FILE), NOTIFY_SOCKET=("@" if abstract else "") + path)
        messages = receive_until(found, "READY=1")
        assert "STOPPING=1" not in messages
        if "STATUS=2 of 3 online; failed: bad" not in messages:
            receive_until(found, "STATUS=2 of 3 online; failed: bad")
        running.send(signal.SIGTERM)
        messages = receive_until(found, "STOPPING=1")
        assert "READY=1" not in messages
        assert running.end()[0] == 1


def test_not_ready_before_all_has_settled(
    start: Start, cluster_file: ClusterFile, tmp_path: Path
) -> None:
    file = FILE + '\n    [resources.slow]\n    type = "TYPE:Slow"\n'
    path = str(tmp_path / "notify")
    with manager(path) as found:
        running = start("run", cluster_file(file), NOTIFY_SOCKET=path)
        receive_until(found, "STATUS=2 of 4 online; failed: bad")
        running.send(signal.SIGTERM)
        assert "READY=1" not in receive_until(found, "STOPPING=1")
        running.end()


def test_a_manager_that_does_not_listen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    with ServiceManager() as deaf:
        deaf.ready()
        deaf.status("one")
        with manager(path) as found:
            # What could not be sent is sent when it is said again.
            deaf.status("one")
            deaf.status("one")
            deaf.status("two")
            assert receive_until(found, "STATUS=two") == ["STATUS=one", "STATUS=two"]
            # A service manager whose queue is full holds nothing up.
            for number in range(10_000):
                deaf.status(str(number))
    monkeypatch.setenv("NOTIFY_SOCKET", "")
    with ServiceManager() as none:
        none.stopping()

"""`trioresource run` on a terminal: a real one, made by the kernel for this."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING, Final

import pytest

from .conftest import COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .conftest import ClusterFile

# Only the terminal of a session sends it signals when keys are pressed or it is closed.
# The tests may run under nohup: the command would inherit that SIGHUP is ignored.
TAKE_TERMINAL: Final = (
    "import fcntl, os, signal, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    " signal.signal(signal.SIGHUP, signal.SIG_DFL);"
    " os.execv(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """A command on a terminal, and all that it has drawn so far."""

    def __init__(self, *arguments: str, cwd: Path, rows: int = 30) -> None:
        self._descriptor, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 140, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "LINES_TO_LOG": "5000"}
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            (sys.executable, "-c", TAKE_TERMINAL, *COMMAND, *arguments),
            cwd=cwd,
            env=environment,
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
        )
        os.close(other)
        self.drawn = ""

    def read(self) -> bool:
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # The other end has been closed.
            return False
        self.drawn += data.decode(errors="replace")
        return True

    def until(self, pattern: str) -> None:
        """Read until something is drawn in which the pattern is found."""
        while not re.search(pattern, self.drawn):
            assert self.read(), self.drawn

    def forget(self) -> None:
        self.drawn = ""

    def press(self, key: bytes) -> None:
        os.write(self._descriptor, key)

    def hang_up(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1

    def end(self) -> int:
        while self.read():
            pass
        assert "Traceback" not in self.drawn, self.drawn
        return self.process.wait(30)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self._descriptor >= 0:
            os.close(self._descriptor)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def begin(*arguments: str, rows: int = 30) -> Terminal:
        opened.append(Terminal(*arguments, cwd=tmp_path, rows=rows))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


def test_the_table(terminal: Callable[..., Terminal], cluster_file: ClusterFile) -> None:
    file = """
        [cluster]
        name = "table"

        [resources.db]
        type = "TYPE:Good"

        [resources.bad]
        type = "TYPE:Bad"
        restart = { action = "none" }

        [resources.web]
        type = "TYPE:Good"
        depends_on = "slow"

        [resources.slow]
        type = "TYPE:Slow"
    """
    shown = terminal("run", cluster_file(file))
    shown.until("table: 1 of 4 online; failed: bad")
    shown.forget()
    # The next picture comes by itself, though nothing happens.
    shown.until("table: 1 of 4 online; failed: bad(?s:.)*┘")
    picture = shown.drawn
    assert re.search(r"│ db +│ default │ \x1b\[32monline.*│ online +│ +1 │ +\d+ s │", picture)
    assert re.search(r"│ bad +│ default │ \x1b\[1;31mfailed.* no \| luck", picture)
    assert re.search(r"│ slow +│ default │ \x1b\[33monline-pending.*half of it", picture)
    assert re.search(r"│ web +│ default │ \x1b\[33monline-pending.*waits for slow", picture)
    shown.press(b"\x03")  # Ctrl-C
    shown.until("SIGINT: going offline")
    assert shown.end() == 1
    assert shown.drawn.rstrip().endswith("bad was failed, not online")
    assert "\x1b[?25h" in shown.drawn  # The cursor is back.


def test_what_does_not_fit(terminal: Callable[..., Terminal], cluster_file: ClusterFile) -> None:
    """Those that are not online are shown first then, and the rest is counted."""
    names = [f"good{number}" for number in range(20)]
    file = "".join(f'[resources.{name}]\ntype = "TYPE:Good"\n' for name in names)
    shown = terminal("run", cluster_file(file + '[resources.slow]\ntype = "TYPE:Slow"\n'), rows=12)
    shown.until("20 of 21 online")
    shown.forget()
    shown.until("20 of 21 online(?s:.)*and 16 more(?s:.)*┘")
    assert re.search("slow.*half of it", shown.drawn)
    shown.press(b"\x03")
    assert shown.end() == 0


def test_a_second_ctrl_c_terminates(
    terminal: Callable[..., Terminal], cluster_file: ClusterFile
) -> None:
    shown = terminal("run", cluster_file('[resources.a]\ntype = "TYPE:Stays"\n'))
    shown.until("1 of 1 online")
    shown.press(b"\x03")
    shown.until("offline-pending")
    shown.press(b"\x03")
    assert shown.end() == 1
    assert shown.drawn.rstrip().endswith("terminated by SIGINT")


def test_plain_on_a_terminal(terminal: Callable[..., Terminal], cluster_file: ClusterFile) -> None:
    shown = terminal(
        "run", cluster_file('[resources.a]\ntype = "TYPE:Good"\n'), "--plain", "--for", "0.2"
    )
    assert shown.end() == 0
    assert "\x1b" not in shown.drawn
    assert re.search(r"s  a +online -> offline-pending", shown.drawn)


def test_a_halted_terminal_does_not_hold_up_the_cluster(
    terminal: Callable[..., Terminal], cluster_file: ClusterFile, tmp_path: Path
) -> None:
    """Nothing is read from the terminal, so that it fills up; signals are obeyed all the same."""
    file = f"""
        [resources.a]
        type = "trioresource.resources.process:Process"
        properties = {{ command = ["sh", "-c", "echo up > {tmp_path}/fifo; sleep 1000"] }}
    """
    os.mkfifo(tmp_path / "fifo")
    shown = terminal("run", cluster_file(file), rows=50)
    assert (tmp_path / "fifo").read_text() == "up\n"
    shown.press(b"\x13")  # Ctrl-S
    shown.process.send_signal(signal.SIGTERM)
    assert shown.process.wait(30) == 0


def test_a_halted_terminal_and_log_lines(
    terminal: Callable[..., Terminal], cluster_file: ClusterFile, tmp_path: Path
) -> None:
    """More is logged than the terminal takes while nothing is read from it."""
    file = f"""
        [resources.chatty]
        type = "TYPE:Chatty"

        [resources.a]
        type = "trioresource.resources.process:Process"
        properties = {{ command = ["sh", "-c", "echo up > {tmp_path}/fifo; sleep 1000"] }}
        depends_on = "chatty"
    """
    os.mkfifo(tmp_path / "fifo")
    shown = terminal("run", cluster_file(file))
    assert (tmp_path / "fifo").read_text() == "up\n"
    shown.process.send_signal(signal.SIGTERM)
    assert shown.process.wait(30) == 0


def test_a_closed_terminal_ends_it_in_order(
    terminal: Callable[..., Terminal], cluster_file: ClusterFile, tmp_path: Path
) -> None:
    file = f"""
        [resources.a]
        type = "trioresource.resources.process:Process"
        properties.command = ["sh", "-c", '''
            trap 'echo stopped > {tmp_path}/fifo; exit' TERM; sleep 1000 & wait''']
    """
    os.mkfifo(tmp_path / "fifo")
    shown = terminal("run", cluster_file(file))
    shown.until("1 of 1 online")
    shown.hang_up()
    assert (tmp_path / "fifo").read_text() == "stopped\n"
    assert shown.process.wait(30) == 0

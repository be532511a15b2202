from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator
    from pathlib import Path

COMMAND: Final = (sys.executable, "-m", "trioresource")

HANDLERS: Final = '''
    """Handlers for the clusters of these tests."""

    import logging
    import os

    import trio

    from trioresource import ResourceHandler


    class Good(ResourceHandler):
        """Comes online at once.

        And stays so.
        """

        async def online(self, scope):
            pass


    class Bad(ResourceHandler):
        async def online(self, scope):
            raise RuntimeError("no\\nluck \\x1b[31m")


    class Once(ResourceHandler):
        """Fails as soon as it is online, the first time."""

        async def online(self, scope):
            if scope.epoch == 1:
                scope.start_soon(self.crash)

        async def crash(self):
            await trio.sleep(0.01)
            raise ValueError("once")


    class Slow(ResourceHandler):
        async def online(self, scope):
            scope.report_progress("half of it", fraction=0.5)
            await trio.sleep_forever()


    class Stays(ResourceHandler):
        """Does not want to go offline."""

        async def online(self, scope):
            pass

        async def offline(self, scope):
            await trio.sleep_forever()


    class BadOffline(ResourceHandler):
        async def online(self, scope):
            pass

        async def offline(self, scope):
            raise RuntimeError("will not")


    class Chatty(ResourceHandler):
        """Logs a lot at once."""

        async def online(self, scope):
            for number in range(int(os.environ["LINES_TO_LOG"])):
                logging.getLogger("chatty").warning("line %d %s", number, "." * 100)


    class BadOpen(ResourceHandler):
        async def online(self, scope):
            pass

        async def open(self):
            raise RuntimeError("cannot be opened")
'''


class Running:
    """A command that runs, and all that it has written so far."""

    def __init__(self, *arguments: str, cwd: Path, **environment: str) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            (*COMMAND, *arguments),
            cwd=cwd,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until(self, pattern: str) -> str:
        """Read lines until one comes in which the pattern is found."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if re.search(pattern, line):
                return self.lines[-1]
        written = "\n".join(self.lines)
        pytest.fail(f"{pattern!r} never came:\n{written}\n{self.process.communicate()[1]}")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Wait for the end, and give the status and what was written to standard error."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        # Not by communicate(): it reads behind what until() has read ahead, which would be lost.
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(self.process.stderr.read)
            self.lines += self.process.stdout.read().splitlines()
            errors = reading.result()
        assert "Traceback" not in errors, errors
        return self.process.wait(30), errors


if TYPE_CHECKING:
    # What the fixtures below give.
    Call = Callable[..., tuple[int, str, str]]
    ClusterFile = Callable[[str], str]
    Start = Callable[..., Running]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the cluster files are: another directory than the current one."""
    place = tmp_path / "cluster"
    place.mkdir()
    (place / "handlers_of_cli_tests.py").write_text(dedent(HANDLERS))
    return place


@pytest.fixture
def cluster_file(directory: Path) -> ClusterFile:
    """Writes a cluster file, ``TYPE:`` standing for the module of the handlers."""

    def write(text: str) -> str:
        file = directory / "cluster.toml"
        file.write_text(dedent(text).replace("TYPE:", "handlers_of_cli_tests:"))
        return str(file)

    return write


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the command, and does not leave it running."""
    started: list[Running] = []

    def begin(*arguments: str, **environment: str) -> Running:
        started.append(Running(*arguments, cwd=tmp_path, **environment))
        return started[-1]

    yield begin
    for one in started:
        one.process.kill()
        one.process.communicate()


@pytest.fixture
def call(start: Start) -> Call:
    """Runs the command to its end: status, standard output, standard error."""

    def run(*arguments: str, **environment: str) -> tuple[int, str, str]:
        running = start(*arguments, **environment)
        status, errors = running.end()
        return status, "\n".join(running.lines), errors

    return run

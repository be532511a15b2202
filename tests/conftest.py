"""What all tests share: programs that they start, signals, and their turns beside other workers."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

REQUIRE_ALL: Final = "TRIORESOURCE_REQUIRE_ALL"

# Daemons live here, and not every user's PATH has them.
SYSTEM_DIRECTORIES: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def find_program(name: str) -> str:
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM_DIRECTORIES))
    found = shutil.which(name, path=path)
    if found is not None:
        return found
    if os.environ.get(REQUIRE_ALL) == "1":
        pytest.fail(f"{name} is not installed, and {REQUIRE_ALL}=1 asks for it", pytrace=False)
    pytest.skip(f"{name} is not installed")


@final
class Turns:
    """Lets the tests of all workers run side by side, but for those that must run alone.

    Each test holds a shared lock, and one that is marked ``alone`` an exclusive one. Before it
    takes that lock, a test passes the gate. One that waits to be alone stays in the gate, so
    that others cannot overtake it for ever.

    Args:
        directory: the same for all workers.
    """

    def __init__(self, directory: Path) -> None:
        self._gate = (directory / "gate").open("w")
        self._room = (directory / "room").open("w")

    @contextmanager
    def take(self, *, alone: bool) -> Iterator[None]:
        with ExitStack() as stack:
            fcntl.flock(self._gate, fcntl.LOCK_EX)
            try:
                fcntl.flock(self._room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
                stack.callback(fcntl.flock, self._room, fcntl.LOCK_UN)
            finally:
                fcntl.flock(self._gate, fcntl.LOCK_UN)
            yield


TURNS: Final = pytest.StashKey[Turns]()


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ and config.cache is not None:
        config.stash[TURNS] = Turns(config.cache.mkdir("turns"))


# First of all, so that the time in which a test waits for its turn is not counted as its own.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    turns = item.config.stash.get(TURNS, None)
    if turns is None:
        return (yield)
    with turns.take(alone=item.get_closest_marker("alone") is not None):
        return (yield)


def ignore(number: int, frame: object) -> None:
    """A handler that does nothing: not the same as none, which programs inherit."""


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """Let what the tests start hear its signals, also where the tests themselves should not.

    A shell that starts a command with "&" lets it ignore SIGINT and SIGQUIT, and nohup lets it
    ignore SIGHUP. What the tests start would inherit that. A signal that has a handler is reset
    to its default in a new program, so each gets one. These tests can be interrupted again;
    the other two still do nothing to them, which is what "&" and nohup were for.
    """
    handlers = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGQUIT: ignore,
        signal.SIGHUP: ignore,
    }
    ignored = [number for number in handlers if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, handlers[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(scope="session")
def require_program() -> Callable[[str], str]:
    """Gives the path of a program; where it is missing, the test is skipped.

    With TRIORESOURCE_REQUIRE_ALL=1 in the environment the test fails instead.
    """
    return find_program

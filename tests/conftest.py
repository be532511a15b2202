from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """Let the tests interrupt themselves and what they start, also in the background or under nohup.

    A shell that starts a command with "&" lets it ignore SIGINT, and nohup lets it ignore SIGHUP.
    What the tests start would inherit both. A signal that has a handler is reset to its default
    in a new program, so each gets one. The one for SIGHUP does nothing: these tests go on, which
    is what nohup was for.
    """
    handlers = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGHUP: lambda number, frame: None,
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

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

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


@pytest.fixture(scope="session")
def require_program() -> Callable[[str], str]:
    """Gives the path of a program; where it is missing, the test is skipped.

    With TRIORESOURCE_REQUIRE_ALL=1 in the environment the test fails instead.
    """
    return find_program

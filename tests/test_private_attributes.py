"""``scripts/check-private-attributes`` finds what it is for, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

SCRIPT: Final = Path(__file__).parent.parent / "scripts" / "check-private-attributes"

OWN: Final = """
class Base:
    __slots__ = ("_slot",)

    def __init__(self):
        self._number = 1

    def __eq__(self, other):
        return self._number == other._number and self._slot == other._slot

class Derived(Base):
    _field: int = 0

    def evolve(self):
        copy = Derived()
        copy._field = copy._number + super()._number
        return copy.__dict__
"""


def findings(directory: Path, code: str) -> list[str]:
    (directory / "module.py").write_text(code, encoding="utf-8")
    command = [sys.executable, str(SCRIPT), str(directory)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    found = [line.partition("module.py:")[2] for line in done.stdout.splitlines()]
    assert done.returncode == bool(found)
    return [line.removesuffix(" is private to another class or module") for line in found if line]


def test_a_class_may_use_its_own_names_on_any_object(tmp_path: Path) -> None:
    assert findings(tmp_path, OWN) == []


@pytest.mark.parametrize(
    "access",
    [
        "print(Base()._number)",
        "Base()._number = 2",
        "getattr(Base(), '_number')",
        "monkeypatch.setattr(Base, '_number', 2)",
        "class Another:\n    def look(self, base):\n        return base._number",
    ],
)
def test_everything_else_is_found(tmp_path: Path, access: str) -> None:
    (found,) = findings(tmp_path, f"{OWN}\n{access}\n")
    assert "_number" in found


def test_private_names_of_another_module_are_found(tmp_path: Path) -> None:
    (tmp_path / "_private.py").touch()
    code = "from ._private import public\nfrom . import _private\nfrom .other import _secret\n"
    assert findings(tmp_path, code) == ["3: other._secret"]


def test_an_exception_is_an_exception(tmp_path: Path) -> None:
    assert findings(tmp_path, "import os\nos._exit(0)\n") == []

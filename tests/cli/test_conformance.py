"""`trioresource test-handler`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from trioresource._cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
import trio
from trioresource import Properties, ResourceHandler

class P(Properties):
    seconds: float

class Fine(ResourceHandler[P]):
    async def online(self, scope):
        await trio.sleep(self.properties.seconds)

class Swallows(ResourceHandler):
    async def online(self, scope):
        try:
            await trio.sleep(1)
        except trio.Cancelled:
            pass
"""


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "handlers_of_test_handler.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


FINE = ("test-handler", "handlers_of_test_handler:Fine", "--property", "seconds=0.1")
SWALLOWS = ("test-handler", "handlers_of_test_handler:Swallows")


def test_all_passed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FINE, "--schedules", "5", "--skip", "C18=measured elsewhere"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("C1  passed         A handler that was never online")
    assert "    measured elsewhere" in out
    assert "20 passed, 1 skipped, 1 not applicable in" in out[-1]


def test_a_failure_is_shown_and_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SWALLOWS, "--check", "C13", "--check", "C1"]) == 1
    out = capsys.readouterr().out
    assert "C1  passed" in out
    assert "C13 failed" in out
    assert "Cancelled must be let through" in out
    token = out.partition("--schedule ")[2].split()[0]
    assert main([*SWALLOWS, "--check", "C13", "--schedule", token]) == 1
    assert "schedule 1 (replay" in capsys.readouterr().out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SWALLOWS, "--check", "C13", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["passed"] is False
    (check,) = found["checks"]
    assert (check["id"], check["verdict"]) == ("C13", "failed")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["nowhere:Thing"], "module nowhere cannot be imported"),
        (["handlers_of_test_handler:Nothing"], "resource handlers in it: Fine, Swallows"),
        ([FINE[1]], "seconds"),
        (
            [FINE[1], "--property", "seconds"],
            "--property must have the form NAME=VALUE, not 'seconds'",
        ),
        ([SWALLOWS[1], "--skip", "C1="], "C1 cannot be skipped without a reason"),
        ([SWALLOWS[1], "--skip", "C77=because"], "no check 'C77'; known: C1, C2"),
        ([SWALLOWS[1], "--check", "C0"], "no check 'C0'; known: C1, C2"),
        ([SWALLOWS[1], "--schedules", "0"], "schedules: 1 at least, not 0"),
        ([SWALLOWS[1], "--schedule", "tr1-AA"], "a token belongs to one check"),
    ],
)
def test_bad_input(arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test-handler", *arguments]) == 2
    captured = capsys.readouterr()
    assert not captured.out
    (line,) = captured.err.splitlines()
    assert line.startswith("trioresource: ")
    assert error in line

"""The command as a whole: how it is called, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from trioresource._cli.exit_status import ExitStatus
from trioresource._cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Call, ClusterFile, Start


def test_help_names_every_exit_status(call: Call) -> None:
    for arguments in (["--help"], ["run", "--help"]):
        status, out, _ = call(*arguments)
        assert status == 0
        for number in ExitStatus:
            assert f"{number.value}: " in out


def test_version(call: Call) -> None:
    status, out, errors = call("--version")
    assert (status, errors) == (0, "")
    assert out.replace(".", "").isdecimal()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["bogus"], "bogus"),
        (["run"], "FILE"),
        (["run", "x", "--bogus"], "--bogus"),
        (["run", "x", "--for", "soon"], "--for"),
        (["run", "x", "--for", "0"], "greater than 0"),
        (["run", "x", "--for", "nan"], "greater than 0"),
        (["run", "x", "--for", "inf"], "greater than 0"),
        (["run", "x", "--plain", "--json"], "not both"),
        (["check"], "FILE"),
        (["describe"], "TYPE"),
        (["describe", "nonsense"], "no resource type is called 'nonsense'"),
    ],
)
def test_bad_usage(arguments: list[str], expected: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == ExitStatus.USAGE
    out, errors = capfd.readouterr()
    assert out == ""
    assert expected in errors


def test_without_a_command_it_helps(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([]) == ExitStatus.USAGE
    assert "run a cluster file" in capfd.readouterr().out.lower()


@pytest.mark.parametrize(("missing", "command"), [("cyclopts", "types"), ("rich", "run")])
def test_it_says_what_to_install(missing: str, command: str, cluster_file: ClusterFile) -> None:
    arguments = [command] if command == "types" else [command, cluster_file("")]
    code = (
        f"import sys; sys.modules[{missing!r}] = None;"
        f" from trioresource._cli.main import main; sys.exit(main({arguments!r}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == ExitStatus.NOT_INSTALLED
    assert ran.stdout == ""
    assert ran.stderr.count("\n") == 1
    assert f"needs {missing}: pip install 'trioresource[cli]'" in ran.stderr


def test_a_reader_that_has_gone(cluster_file: ClusterFile) -> None:
    outlet, inlet = os.pipe()
    os.close(outlet)
    command = [sys.executable, "-m", "trioresource", "check", cluster_file("")]
    ran = subprocess.run(command, stdout=inlet, stderr=subprocess.PIPE, text=True, check=False)
    os.close(inlet)
    assert (ran.returncode, ran.stderr) == (ExitStatus.FAILED, "")


def test_ctrl_c_while_modules_are_imported(
    directory: Path, cluster_file: ClusterFile, start: Start
) -> None:
    module = 'import time\nprint("importing", flush=True)\ntime.sleep(60)\n'
    (directory / "sleepy.py").write_text(module)
    running = start("run", cluster_file('[resources.a]\ntype = "sleepy:A"\n'))
    running.until("importing")
    running.send(signal.SIGINT)
    assert running.end() == (ExitStatus.INTERRUPTED, "interrupted\n")

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trioresource.errors import OnlineFailed
from trioresource.resources.launch import Launch, start

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")


def run(command: list[str], **options: Any) -> str:
    read, write = os.pipe()
    try:
        with start(Launch(command=tuple(command), **options), write) as process:
            os.close(write)
            write = -1
            with open(read, closefd=False) as output:
                text = output.read()
            assert process.wait() == 0
            return text
    finally:
        os.close(read)
        if write >= 0:
            os.close(write)


def test_missing_command() -> None:
    with pytest.raises(OnlineFailed, match=r"^command 'no-such-one' was not found in PATH \(/x\)"):
        run(["no-such-one"], environment={"PATH": "/x"})


def test_missing_path() -> None:
    with pytest.raises(OnlineFailed, match=r"^command '/no/such/one' does not exist$"):
        run(["/no/such/one"])


def test_missing_path_relative_to_the_directory(tmp_path: Path) -> None:
    program = tmp_path / "here"
    program.write_text("#!/bin/sh\necho here\n")
    program.chmod(0o755)
    assert run(["./here"], directory=str(tmp_path)) == "here\n"
    with pytest.raises(OnlineFailed, match="does not exist"):
        run(["./there"], directory=str(tmp_path))


def test_a_directory_is_no_command(tmp_path: Path) -> None:
    with pytest.raises(OnlineFailed, match="is a directory"):
        run([str(tmp_path)])


def test_not_executable(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    with pytest.raises(OnlineFailed, match="is not executable"):
        run([str(tmp_path / "plain")])


def test_neither_program_nor_script(tmp_path: Path) -> None:
    path = tmp_path / "odd"
    path.write_text("odd")
    path.chmod(0o755)
    with pytest.raises(OnlineFailed, match="neither a program nor a script"):
        run([str(path)])


def test_interpreter_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text("#!/no/such/interpreter\n")
    path.chmod(0o755)
    with pytest.raises(OnlineFailed, match="interpreter in its first line does not exist"):
        run([str(path)])


def test_bad_directory(tmp_path: Path) -> None:
    with pytest.raises(OnlineFailed, match="does not exist"):
        run(["true"], directory=str(tmp_path / "missing"))
    (tmp_path / "file").touch()
    with pytest.raises(OnlineFailed, match="is not a directory"):
        run(["true"], directory=str(tmp_path / "file"))


def test_what_subprocess_refuses() -> None:
    with pytest.raises(OnlineFailed, match="could not be started"):
        run(["true"], environment={"A=B": "c"})


def test_unknown_user_and_group() -> None:
    with pytest.raises(OnlineFailed, match="there is no user 'no-such-user'"):
        run(["true"], user="no-such-user")
    with pytest.raises(OnlineFailed, match="there is no group 'no-such-group'"):
        run(["true"], group="no-such-group")
    with pytest.raises(OnlineFailed, match="user 54321 has no account here: say which group"):
        run(["true"], user=54321)


@root_only
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"user": 54321, "group": 54322}, "54321 54322 54322 -"),
        ({"group": 54322}, "0 54322 54322 -"),
        ({"user": "root", "group": "root"}, "0 0 0 root"),
        ({"user": 65534, "environment": {"USER": "own"}}, "65534 65534 65534 own"),
    ],
)
def test_user_and_group(
    options: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("USER", raising=False)
    script = "echo $(id -u) $(id -g) $(id -G) ${USER--}"
    assert run(["sh", "-c", script], **options) == expected + "\n"


@root_only
def test_other_users_need_root() -> None:
    code = """
import os
from trioresource.resources.launch import Launch, start
from trioresource.errors import OnlineFailed
os.setgroups([]); os.setgid(54322); os.setuid(54321)
start(Launch(command=("/bin/true",), user=54321, group=54322), 1).wait()
try:
    start(Launch(command=("/bin/true",), user="root"), 1)
except OnlineFailed as error:
    print(error)
"""
    with Path(os.devnull).open() as null:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=null, text=True, check=True
        )
    assert done.stdout == (
        "only root can run a program as user 'root', group None; this program runs as user 54321\n"
    )


SIGNALS = """
import signal
blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
ignored = [s.name for s in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
           if signal.getsignal(s) is signal.SIG_IGN]
print(len(blocked), *ignored)
"""


@pytest.mark.parametrize("how", ["plain", "ignored", "blocked"])
def test_ignored_and_blocked_signals_are_not_handed_down(how: str) -> None:
    previous = signal.getsignal(signal.SIGHUP)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        if how == "ignored":
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        elif how == "blocked":
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM])
        assert run([sys.executable, "-S", "-c", SIGNALS]) == "0\n"
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGHUP, previous)


def test_missing_command_where_signals_are_ignored() -> None:
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with pytest.raises(OnlineFailed, match="does not exist"):
            run(["/no/such/one"])
    finally:
        signal.signal(signal.SIGHUP, previous)

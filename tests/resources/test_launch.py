from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from trioresource._errors import OnlineFailed
from trioresource.resources._process.launch import Launch, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")


def run(command: list[str], *, errors: str = "strict", **options: Any) -> str:
    read, write = os.pipe()
    try:
        with start(Launch(command=tuple(command), **options), write) as process:
            os.close(write)
            write = -1
            with open(read, closefd=False, errors=errors) as output:
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
    with pytest.raises(OnlineFailed, match="user 54321 has no account here, so give a group, too"):
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
def test_user_and_group_where_signals_are_ignored(ignored: None, tmp_path: Path) -> None:
    """The other user need not be able to run the Python that resets the signals."""
    tmp_path.chmod(0o700)
    script = "echo $(id -u) $(id -g) $(id -G); pwd"
    options: dict[str, Any] = {"user": 54321, "group": 54322, "directory": str(tmp_path)}
    assert run(["sh", "-c", script], **options) == f"54321 54322 54322\n{tmp_path}\n"
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    with pytest.raises(OnlineFailed, match="is not executable by user 54321, or its directory"):
        run([str(program)], user=54321, group=54322)


ANOTHER = """
import os, signal, sys
from trioresource.resources._process.launch import Launch, start
from trioresource._errors import OnlineFailed
# The tests may run in the background or under nohup, which lets this program ignore signals. A
# command would be started by way of Python then, which another user may be unable to run.
for number in signal.valid_signals():
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_SETMASK, [])
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(54322); os.setuid(54321)
"""


def by_another(code: str, *arguments: object) -> str:
    """What a piece of Python prints that is run by another user, or at least not by root."""
    done = subprocess.run(
        [sys.executable, "-c", ANOTHER + code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return done.stdout


@root_only
def test_other_users_need_root() -> None:
    code = """
start(Launch(command=("/bin/true",), user=54321, group=54322), 1).wait()
try:
    start(Launch(command=("/bin/true",), user="root"), 1)
except OnlineFailed as error:
    print(error)
"""
    assert by_another(code) == (
        "only root can run a program as user 'root', group None; this program runs as user 54321\n"
    )


def test_a_closed_directory_above(tmp_path: Path) -> None:
    code = """
for what in ({"command": (sys.argv[1],)}, {"command": ("true",), "directory": sys.argv[1]}):
    try:
        start(Launch(**what), 1)
    except OnlineFailed as error:
        print(error)
"""
    closed = tmp_path / "closed"
    (closed / "in").mkdir(parents=True)
    closed.chmod(0)
    try:
        found = by_another(code, closed / "in")
    finally:
        closed.chmod(0o700)
    assert found == f"'{closed}/in' is not accessible: Permission denied\n" * 2


def test_a_name_that_is_too_long() -> None:
    with pytest.raises(OnlineFailed, match="is not accessible: File name too long"):
        run(["/" + "x" * 300])


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


@pytest.fixture
def ignored() -> Iterator[None]:
    """One signal is ignored, so that programs are started by way of Python."""
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, previous)


def test_mistakes_where_signals_are_ignored(ignored: None, tmp_path: Path) -> None:
    with pytest.raises(OnlineFailed, match="does not exist"):
        run(["/no/such/one"])
    with pytest.raises(OnlineFailed, match="directory '/no/such/one' does not exist"):
        run(["true"], directory="/no/such/one")
    with pytest.raises(OnlineFailed, match="could not be started"):
        run(["true"], environment={"A=B": "c"})


def test_python_cannot_be_run_where_signals_are_ignored(
    ignored: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, rather than that the command cannot be run, or that signals are ignored by it."""
    python = tmp_path / "python"
    python.touch()
    monkeypatch.setattr(sys, "executable", str(python))
    expected = (
        r"^command 'true' cannot be started: this program ignores or blocks signals"
        rf" \((SIG\w+, )*SIGHUP.*\), and user {os.geteuid()} cannot run the Python that would"
        rf" reset them for the command \({python}: Permission denied\)$"
    )
    with pytest.raises(OnlineFailed, match=expected):
        run(["true"])


def test_environment_where_signals_are_ignored(ignored: None, require_program: Any) -> None:
    """The program gets its own exactly, and nothing in between is run with it."""
    env = require_program("env")
    given = {"PATH": "/x", "A": "\xfc\udcff", "LD_LIBRARY_PATH": "/y", "LC_CTYPE": "C"}
    printed = run([env], environment=given, inherit_environment=False, errors="surrogateescape")
    assert dict(line.split("=", 1) for line in printed.splitlines()) == given
    assert run([env], inherit_environment=False) == ""
    assert len(run([env], environment={"BIG": "x" * 120_000})) > 120_000

"""Start a program (command, environment, user, signals), or say why it cannot be started.

Everything here blocks, so it runs in a thread.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import marshal
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

import attrs

from ..._errors import OnlineFailed

_NOT_INHERITED: Final = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS")
"""Variables from the service manager of this program; a child must not answer in its name."""

# subprocess resets these itself, because every CPython process ignores them.
_RESTORED_BY_SUBPROCESS: Final = (
    signal.SIGPIPE,
    *(getattr(signal, name) for name in ("SIGXFSZ", "SIGXFZ") if hasattr(signal, name)),
)

# A child ignores and blocks the signals that this program ignores (under nohup, or after "&" in
# a script) and blocks: a stop signal would not reach it. Resetting them between fork and exec
# would run Python code in the fork of a program with threads, which is not safe. In this rare
# case a small Python program is started, resets the signals, and then executes the command.
# It changes to the other user last, because that user may be unable to run this Python. It gets
# the environment of the command through a pipe instead of running in it: as root it must load
# no code from a path that the other user can write.
_RESET_SIGNALS: Final = """\
import errno, marshal, os, signal, sys
import warnings  # os.execvpe() imports it, and the other user may be unable to read it
report, given, *command = sys.argv[1:]
os.set_inheritable(int(report), False)
with open(int(given), "rb") as pipe:
    environment, user, group, groups = marshal.load(pipe)
for number in signal.valid_signals():
    try:
        signal.signal(number, signal.SIG_DFL)
    except (OSError, ValueError):
        pass
signal.pthread_sigmask(signal.SIG_SETMASK, [])
try:
    if groups is not None:
        os.setgroups(groups)
    if group is not None:
        os.setregid(group, group)
    if user is not None:
        os.setreuid(user, user)
    os.execvpe(command[0], command, environment)
except (OSError, ValueError) as error:
    os.write(int(report), b"%d" % (getattr(error, "errno", None) or errno.EINVAL))
"""


@attrs.frozen(kw_only=True)
class Launch:
    """What is needed to start a program."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = attrs.field(factory=dict)
    """Variables to set."""
    inherit_environment: bool = True
    """Whether the variables of this program are set, too."""
    directory: str | None = None
    user: str | int | None = None
    group: str | int | None = None


def start(launch: Launch, output: int) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own; block until exec has succeeded.

    ``Popen`` waits for a pipe that a successful exec closes. So when this returns, the
    program has replaced the fork of this one, and a signal that is sent to the child cannot
    end up in a handler that the fork has inherited.

    Args:
        launch: what to start.
        output: the descriptor for standard output and standard error of the program.

    Returns:
        The process; its id is also the id of its session and of its process group.

    Raises:
        OnlineFailed: the program could not be started; the message says why.
    """
    environment, identity = _environment(launch), _Identity()
    if launch.user is not None or launch.group is not None:
        identity = _identity(launch)
        environment |= {**identity.variables, **launch.environment}
    try:
        if _unusual_signals():
            return _start_by_way_of_python(launch, environment, identity, output)
        return _popen(launch, launch.command, environment, identity, output)
    except (OSError, ValueError, OverflowError, subprocess.SubprocessError) as error:
        raise OnlineFailed(_obstacle(launch, environment, error)) from error


def _popen(
    launch: Launch,
    command: tuple[str, ...],
    environment: Mapping[str, str] | None,
    identity: _Identity,
    output: int,
    pass_fds: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=launch.directory,
        env=environment,
        start_new_session=True,
        user=identity.user,
        group=identity.group,
        extra_groups=identity.groups,
        pass_fds=pass_fds,
    )


def _start_by_way_of_python(
    launch: Launch, environment: Mapping[str, str], identity: _Identity, output: int
) -> subprocess.Popen[bytes]:
    """Start a program by way of a Python program that resets all signals.

    Like ``Popen``, wait until exec has succeeded, and enter the directory before the change
    to the other user.
    """
    variables = {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
    with _pipe() as (outcome, report), _pipe() as (given, gift):
        ends = (report.fileno(), given.fileno())
        python = (sys.executable, "-I", "-S", "-c", _RESET_SIGNALS, *map(str, ends))
        try:
            process = _popen(launch, (*python, *launch.command), None, _Identity(), output, ends)
        except OSError as error:
            if error.filename != sys.executable:
                raise
            # This program cannot run its own Python: it has changed its user since it started.
            raise OnlineFailed(
                f"command {launch.command[0]!r} cannot be started: this program ignores or blocks"
                f" signals ({_unusual_signals()}), and user {os.geteuid()} cannot run the Python"
                f" that would reset them for the command ({sys.executable}: {error.strerror})"
            ) from error
        report.close()
        given.close()
        # If the Python program has ended by now, its exit status will say so.
        with contextlib.suppress(BrokenPipeError):
            gift.write(marshal.dumps((variables, identity.user, identity.group, identity.groups)))
            gift.close()
        number = outcome.read()
    if not number:
        return process
    process.wait()
    raise OSError(int(number), os.strerror(int(number)))


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as outlet, os.fdopen(write, "wb") as inlet:
        yield outlet, inlet


def _environment(launch: Launch) -> dict[str, str]:
    inherited = dict(os.environ) if launch.inherit_environment else {}
    for name in _NOT_INHERITED:
        inherited.pop(name, None)
    return inherited | dict(launch.environment)


def _unusual_signals() -> str:
    """Name the signals that this thread blocks or this program ignores; empty if there is none."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    unusual = (
        getattr(number, "name", f"signal {number}")  # most real-time signals are plain numbers
        for number in sorted(signal.valid_signals())
        if number in blocked
        or (number not in _RESTORED_BY_SUBPROCESS and signal.getsignal(number) is signal.SIG_IGN)
    )
    return ", ".join(unusual)


@attrs.frozen
class _Identity:
    """The user and groups that a program runs as; ``None`` keeps those of this program."""

    user: int | None = None
    group: int | None = None
    groups: list[int] | None = None
    variables: Mapping[str, str] = attrs.field(factory=dict)
    """The variables that a login of the user would set."""


def _identity(launch: Launch) -> _Identity:
    """Look up user and group; a program that is not root can only name its own."""
    account = _account(launch.user)
    uid = account.pw_uid if account else launch.user
    assert not isinstance(uid, str)
    gid = _group_number(launch.group)
    if gid is None and account is not None:
        gid = account.pw_gid
    if gid is None:
        raise OnlineFailed(f"user {launch.user} has no account here, so give a group, too")
    if os.geteuid() != 0:
        if uid in (None, os.geteuid()) and gid == os.getegid():
            return _Identity()
        raise OnlineFailed(
            f"only root can run a program as user {launch.user!r}, group {launch.group!r};"
            f" this program runs as user {os.geteuid()}"
        )
    if account is None:
        return _Identity(uid, gid, [gid])
    variables = {"HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name}
    return _Identity(uid, gid, os.getgrouplist(account.pw_name, gid), variables)


def _account(user: str | int | None) -> pwd.struct_passwd | None:
    if isinstance(user, str):
        try:
            return pwd.getpwnam(user)
        except KeyError:
            raise OnlineFailed(f"there is no user {user!r}") from None
    try:
        return None if user is None else pwd.getpwuid(user)
    except KeyError:
        return None


def _group_number(group: str | int | None) -> int | None:
    if not isinstance(group, str):
        return group
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise OnlineFailed(f"there is no group {group!r}") from None


def _obstacle(launch: Launch, environment: Mapping[str, str], error: Exception) -> str:
    """Say in words for people why the program cannot be started."""
    try:
        return _visible_obstacle(launch, environment, error)
    except OSError as hidden:
        # The path cannot even be examined: a directory above is closed, or the name is too long.
        return f"{hidden.filename!r} is not accessible: {hidden.strerror}"


def _visible_obstacle(launch: Launch, environment: Mapping[str, str], error: Exception) -> str:
    program = launch.command[0]
    if launch.directory is not None:
        directory = Path(launch.directory)
        if not directory.exists():
            return f"directory {launch.directory!r} does not exist"
        if not directory.is_dir():
            return f"directory {launch.directory!r} is not a directory"
    if "/" not in program:
        search = environment.get("PATH", os.defpath)
        if shutil.which(program, path=search) is None:
            return f"command {program!r} was not found in PATH ({search})"
    path = Path(launch.directory or ".", program)
    if "/" in program and not path.exists():
        return f"command {program!r} does not exist"
    if "/" in program and path.is_dir():
        return f"command {program!r} is a directory"
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOENT:
        return f"command {program!r}: the interpreter in its first line does not exist"
    if number == errno.ENOEXEC:
        return f"command {program!r} is neither a program nor a script with a #! line"
    if number == errno.EACCES:
        who = "" if launch.user is None else f" by user {launch.user!r}"
        return f"command {program!r} is not executable{who}, or its directory is not accessible"
    return f"command {program!r} could not be started: {error}"

"""How a program is started: command, environment, user, signals; and why it could not be.

Everything here blocks, and runs in a thread.
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
"""What a service manager said to this program is not meant for programs started here."""

# subprocess restores these itself, because CPython ignores them from the start.
_RESTORED_BY_SUBPROCESS: Final = (
    signal.SIGPIPE,
    *(getattr(signal, name) for name in ("SIGXFSZ", "SIGXFZ") if hasattr(signal, name)),
)

# What a program ignores or blocks, its children ignore or block, through exec as well
# (under nohup, or after "&" in a script), and no stop signal would reach them. To change
# that between fork and exec takes Python code after a fork of a program with threads,
# which is not safe. So, in this rare case only, a small program sets it right. It becomes
# the other user itself, at last: that one need not be able to run this Python. And it is
# given the environment to hand on rather than to run in: as root it must load nothing
# from where the other user may write.
_RESET_SIGNALS: Final = """\
import errno, marshal, os, signal, sys
import warnings  # os.execvpe() would import it, from where the other user may not read
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
    """Whether they come on top of this program's own variables."""
    directory: str | None = None
    user: str | int | None = None
    group: str | int | None = None


def start(launch: Launch, output: int) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own; blocks until exec has succeeded.

    ``Popen`` reads a pipe that only a successful exec (or a failed child) closes. So
    nobody can send a signal to the child before the program has taken its place, and
    none is lost in a handler that the child had inherited between fork and exec.

    Args:
        launch: what to start.
        output: a descriptor for its standard output and standard error.

    Returns:
        The process; its id is also its session's and its process group's.

    Raises:
        OnlineFailed: it could not be started; the message says what is in the way.
    """
    environment, identity = _environment(launch), _Identity()
    if launch.user is not None or launch.group is not None:
        identity = _identity(launch)
        environment |= {**identity.variables, **launch.environment}
    try:
        if _signals_need_reset():
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
    """Reset all signals in between; like ``Popen``, wait until exec has succeeded.

    Like ``Popen``, too, it enters the directory before the user is another.
    """
    variables = {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
    with _pipe() as (outcome, report), _pipe() as (given, gift):
        ends = (report.fileno(), given.fileno())
        python = (sys.executable, "-I", "-S", "-c", _RESET_SIGNALS, *map(str, ends))
        process = _popen(launch, (*python, *launch.command), None, _Identity(), output, ends)
        report.close()
        given.close()
        # Who has ended by now reads nothing; that it has ended, will be seen.
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


def _signals_need_reset() -> bool:
    if signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        return True
    return any(
        signal.getsignal(number) is signal.SIG_IGN
        for number in signal.valid_signals()
        if number not in _RESTORED_BY_SUBPROCESS
    )


@attrs.frozen
class _Identity:
    """Who a program runs as; ``None`` for who this program runs as."""

    user: int | None = None
    group: int | None = None
    groups: list[int] | None = None
    variables: Mapping[str, str] = attrs.field(factory=dict)
    """What a login would set."""


def _identity(launch: Launch) -> _Identity:
    """Look up user and group; without root's rights only one's own will do."""
    account = _account(launch.user)
    uid = account.pw_uid if account else launch.user
    assert not isinstance(uid, str)
    gid = _group_number(launch.group)
    if gid is None and account is not None:
        gid = account.pw_gid
    if gid is None:
        raise OnlineFailed(f"user {launch.user} has no account here: say which group")
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
    """What is in the way of starting the program, in words for people."""
    try:
        return _visible_obstacle(launch, environment, error)
    except OSError as hidden:
        # Not even to be looked at: a directory above is closed, or the name is too long.
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

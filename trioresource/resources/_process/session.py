"""Find and signal the processes of a session, to end a program with all that it has started.

A program runs in a session of its own. Its descendants belong to the session, orphans and
the process groups of a shell included. Only a process that calls ``setsid`` leaves it. A
program that puts itself into the background does that, so it must be told to stay in the
foreground, as for every supervisor.
"""

from __future__ import annotations

import contextlib
import enum
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_PROC: Final = Path("/proc")
_ENDED: Final = (b"Z", b"X")
"""States in /proc/PID/stat of a process that has ended and holds nothing any more."""
MAX_LOOKS: Final = 200
"""Looks of one call of ``kill``; without a bound it would keep its thread for as long as other
programs start processes."""
_PROOF, _PROOF_BLIND = 2, 4
"""Looks in a row that must find no member; see ``kill``. Where the newest process id is unknown,
process ids may start over unseen, and that can spoil two looks: hence two more."""


def members(session: int, *, proc: Path = _PROC) -> dict[int, int]:
    """List the processes of a session that have not ended.

    Args:
        session: the id of the session, which is the process id of its leader.
        proc: the directory in which the kernel lists processes. Where there is none (not
            on Linux), the session seems to be empty.

    Returns:
        Process id to process group id, in the order of the process ids. A process that
        starts meanwhile may be missing.
    """
    return dict(sorted(_look(session, set(), proc, _let_be)[0].items()))


def kill(session: int, *, proc: Path = _PROC) -> dict[int, int] | None:
    """Kill every member of a session, and return the members that had to be killed.

    The members are killed by process groups: the kernel signals all of a group at once, so
    that no member can start another one in between. As long as the leader has not been
    reaped, or a member lives, the kernel gives these ids to no other process.

    A program in which each process starts the next one, in a group of its own, and ends,
    can be too fast for the kill, but it cannot hide. The kernel assigns process ids in
    ascending order, and a look reads the list of processes in ascending order. A process
    that the look has not reached yet starts its children ahead of the look, too: either it
    is still there when the look reaches it, or it has ended after starting them. Only a
    process older than the current round of ids may start children behind the look. So no
    member is left if two looks in a row list none and the ids do not start over meanwhile:
    after the first look all members are younger than it, so the second look would have
    listed one of each line of descent. A process that was listed and has ended before its
    session could be read may have been a member. A look that meets such a process, or a
    member that has just ended, proves nothing.

    Args:
        session: the id of the session. Its leader has ended and is not reaped yet.
        proc: the directory in which the kernel lists processes.

    Returns:
        The members found, in the form of ``members``. An empty dict proves that no member
        is left; ``None`` means that it is unknown.
    """
    ended = {session}
    quiet, newest = 0, _newest_process(proc)
    for _ in range(MAX_LOOKS):
        found, is_sure = _look(session, ended, proc, _kill_group)
        if found:
            return found
        before, newest = newest, _newest_process(proc)
        quiet = quiet + 1 if is_sure and before <= newest else 0
        if quiet >= (_PROOF if newest else _PROOF_BLIND):
            return found
    return None


def _look(
    session: int, ended: set[int], proc: Path, act: Callable[[int], None]
) -> tuple[dict[int, int], bool]:
    """Look once at every process.

    Args:
        session: the id of the session.
        ended: the members that are known to have ended; this adds those that it meets for
            the first time.
        proc: the directory in which the kernel lists processes.
        act: called with the process group of each member as soon as the look meets it.

    Returns:
        The members that have not ended, and whether it is certain that no other process of
        the list was a member.
    """
    try:
        pids = [int(name) for name in os.listdir(proc) if name.isdigit()]  # noqa: PTH208
    except OSError as error:
        # Without a list (not on Linux) the session counts as empty. Any other error, such as
        # having no file descriptor left, proves nothing.
        return {}, isinstance(error, FileNotFoundError)
    found: dict[int, int] = {}
    is_sure = True
    # The youngest first: they are most likely to end before they are examined.
    for pid in sorted(pids, reverse=True):
        try:
            # getsid() is one cheap call; read files of members only.
            if os.getsid(pid) != session:
                continue
            group = os.getpgid(pid)
            if _runs(pid, proc):
                act(group)
                found[pid] = group
                continue
        except PermissionError:
            # A security module forbids the question; it does not for processes started here.
            continue
        except (ProcessLookupError, FileNotFoundError):
            is_sure = False
            continue
        if pid not in ended:
            ended.add(pid)
            is_sure = False
    return found, is_sure


def _runs(pid: int, proc: Path) -> bool:
    try:
        stat = (proc / str(pid) / "stat").read_bytes()
    except (ProcessLookupError, FileNotFoundError):
        raise
    except OSError:
        return True  # It exists, but the file may not be read, or no descriptor is left.
    # The second field is the program's name in brackets, and may contain anything.
    fields = stat.rpartition(b")")[2].split()
    # A program whose first thread has ended is listed as ended while other threads go on.
    return fields[0] not in _ENDED or int(fields[17]) > 1


def _let_be(_: int) -> None:
    """Do nothing to a process group."""


def _kill_group(group: int) -> None:
    # The group has ended by itself, or it runs as another user: then the next look lists it.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _newest_process(proc: Path) -> int:
    """Return the id that the kernel assigned last, to a process or thread; 0 if unknown."""
    try:
        return int((proc / "loadavg").read_text().split()[-1])
    except (OSError, ValueError):
        return 0


class Disposition(enum.Enum):
    """How a process reacts to a signal."""

    DEFAULT = "default"
    IGNORED = "ignored"
    CAUGHT = "caught"


def disposition(pid: int, number: signal.Signals, *, proc: Path = _PROC) -> Disposition:
    """Find out how a process reacts to a signal at this moment.

    Args:
        pid: the process id.
        number: the signal.
        proc: the directory in which the kernel lists processes.

    Returns:
        The reaction; ``CAUGHT`` if the process has ended.
    """
    try:
        status = (proc / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Disposition.CAUGHT
    masks = dict(line.split(":\t", 1) for line in status.splitlines() if line.startswith("Sig"))
    bit = 1 << (number - 1)
    if int(masks["SigIgn"], 16) & bit:
        return Disposition.IGNORED
    return Disposition.CAUGHT if int(masks["SigCgt"], 16) & bit else Disposition.DEFAULT


def ask(session: int, number: signal.Signals, told: set[int], *, first: bool) -> dict[int, int]:
    """Send a stop signal to the members of a session that have not got it yet.

    Call it again as long as there are members. A process loses a signal without a trace if
    it ignores it, or if the signal arrives between fork and exec while the fork still has
    a handler of its parent. And to many programs a second signal means "stop at once". So
    the first call signals the group of the leader. Later calls signal a member only if it
    ignored the signal and no longer does, if it is new, or if the signal would have ended
    it and so cannot have arrived.

    Args:
        session: the id of the session.
        number: the signal.
        told: the ids of the processes that have got the signal; kept from call to call.
        first: whether this is the first call.

    Returns:
        The members found, in the form of ``members``.
    """
    found = members(session)
    doing = {pid: disposition(pid, number) for pid in found}
    if first:
        # A stopped process handles a signal only after SIGCONT.
        for sent in (number, signal.SIGCONT):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(session, sent)
        told.update(pid for pid in found if found[pid] == session)
        told.difference_update(pid for pid in found if doing[pid] is Disposition.IGNORED)
    for pid, what in doing.items():
        lost = what is Disposition.DEFAULT and not first
        if what is not Disposition.IGNORED and (lost or pid not in told):
            _send(pid, session, number)
            told.add(pid)
    return found


def _send(pid: int, session: int, number: signal.Signals) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.pidfd_open(pid)
        try:
            # The open descriptor pins the process: its id can go to no other process now.
            if os.getsid(pid) == session:
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)

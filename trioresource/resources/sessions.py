"""Who is in a session: how a program is ended together with all that it has started.

A program runs in a session of its own. Its children are in it too, also those that were
orphaned, or that a shell has put into other process groups. Only a program that calls
``setsid`` leaves; a program that puts itself into the background so is told to stay in
the foreground, as every supervisor asks of it.
"""

from __future__ import annotations

import contextlib
import enum
import os
import signal
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
# So often at most it is looked for a moment in which no process is started anywhere.
_LOOKS: Final = 200
_ENDED: Final = (b"Z", b"X")
"""States of /proc/PID/stat in which a process holds nothing any more."""


def members(session: int, *, proc: Path = _PROC) -> dict[int, int]:
    """The processes of a session that have not ended.

    Args:
        session: the session's id, which is the process id of its leader.
        proc: where the kernel lists processes; where it does not (not on Linux), the
            answer is that there are none.

    Returns:
        Process id to process group id, in the order of the process ids.
    """
    try:
        pids = sorted(int(name) for name in os.listdir(proc) if name.isdigit())  # noqa: PTH208
    except OSError:
        return {}
    found = {}
    for pid in pids:
        # A process may end at any time, and its files with it.
        with contextlib.suppress(OSError):
            # getsid() is one cheap call; only members are looked at any closer.
            if os.getsid(pid) == session and _runs(pid, proc):
                found[pid] = os.getpgid(pid)
    return found


def _runs(pid: int, proc: Path) -> bool:
    # The second field is the program's name in brackets, and may hold anything.
    state = (proc / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()[0]
    return state not in _ENDED


def kill(session: int) -> dict[int, int]:
    """Kill every member of a session, and say who still had to be killed.

    By groups: the kernel signals all of a group at once, so that no member can start
    another one in between. As long as the leader has not been reaped, or a member
    lives, nobody else can be given these numbers.

    Args:
        session: the session's id.

    Returns:
        The members found, like ``members``; none at all only if there is nobody left.
    """
    found = _all_members(session)
    for group in sorted({session, *found.values()}):
        # ESRCH: it has ended by itself. EPERM: it runs as another user, and shows up in
        # the next answer.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    return found


def _all_members(session: int) -> dict[int, int]:
    """The members of a session; none at all if there is nobody left.

    A program that forks without end can be too quick for this.

    A process that is started while the list is read may be missing from it, while the
    one that has started it ends before its turn comes. So nobody counts as nobody only
    when it was so twice, and no process was started meanwhile in the whole system: what
    was about to be started during the first look is there for the second.
    """
    calm = None
    found: dict[int, int] = {}
    for _ in range(_LOOKS):
        newest = _newest_process()
        found = members(session)
        if found or newest == calm == _newest_process():
            break
        calm = newest
    return found


def _newest_process(proc: Path = _PROC) -> str:
    """The id that was given to a process or thread last."""
    try:
        return (proc / "loadavg").read_text().split()[-1]
    except OSError:
        return ""


class Disposition(enum.Enum):
    """What a process does upon a signal."""

    DEFAULT = "default"
    IGNORED = "ignored"
    CAUGHT = "caught"


def disposition(pid: int, number: signal.Signals, *, proc: Path = _PROC) -> Disposition:
    """What a process does upon a signal at this moment.

    Args:
        pid: the process id.
        number: the signal.
        proc: where the kernel lists processes.

    Returns:
        ``CAUGHT`` also where nothing is known of the process, because it has ended.
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
    """Ask the members of a session to stop, those who have not got the signal yet.

    To be called again as long as there are members. A signal is lost without a trace
    where it was ignored, or came between fork and exec of a grandchild that had
    inherited a handler; and one sent twice means "at once" to many programs. So it is
    sent to the leader's group first, and again only to who ignored it then and does no
    longer, to who came later, and to whom it would have ended if it had come.

    Args:
        session: the session's id.
        number: the signal.
        told: the process ids of who has got it; kept from call to call.
        first: whether this is the first call.

    Returns:
        The members found, like ``members``.
    """
    found = members(session)
    doing = {pid: disposition(pid, number) for pid in found}
    if first:
        # A stopped process does not even see a signal before it goes on.
        for one in (number, signal.SIGCONT):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(session, one)
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
            # Now that it is held, it can not become somebody else any more.
            if os.getsid(pid) == session:
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)

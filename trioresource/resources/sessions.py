"""Who is in a session: how a program is ended together with all that it has started.

A program runs in a session of its own. Its children are in it too, also those that were
orphaned, or that a shell has put into other process groups. Only a program that calls
``setsid`` leaves; a program that puts itself into the background so is told to stay in
the foreground, as every supervisor asks of it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
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
        The members found, like ``members``.
    """
    found = members(session)
    for group in sorted({session, *found.values()}):
        # ESRCH: it has ended by itself. EPERM: it runs as another user, and shows up in
        # the next answer.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    return found


def ignores(pid: int, number: signal.Signals, *, proc: Path = _PROC) -> bool:
    """Whether a process ignores a signal at this moment, so that the kernel drops it.

    Args:
        pid: the process id.
        number: the signal.
        proc: where the kernel lists processes; where it does not, the answer is no.
    """
    try:
        status = (proc / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    for line in status.splitlines():
        if line.startswith("SigIgn:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False

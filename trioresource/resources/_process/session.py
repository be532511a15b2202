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
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_PROC: Final = Path("/proc")
_ENDED: Final = (b"Z", b"X")
"""States of /proc/PID/stat in which a process holds nothing any more."""
_LOOKS: Final = 200
"""So often at most it is looked for proof that nobody is left, before others get a turn."""
_PROOF, _PROOF_BLIND = 2, 4
"""Looks in a row that must find nobody; see ``kill``. The more where it is not known when
ids begin anew: that can spoil two of them."""


def members(session: int, *, proc: Path = _PROC) -> dict[int, int]:
    """The processes of a session that have not ended.

    Args:
        session: the session's id, which is the process id of its leader.
        proc: where the kernel lists processes; where it does not (not on Linux), the
            answer is that there are none.

    Returns:
        Process id to process group id, in the order of the process ids. A process that
        is started meanwhile may be missing.
    """
    return dict(sorted(_look(session, set(), proc, _let_be)[0].items()))


def kill(session: int, *, proc: Path = _PROC) -> dict[int, int] | None:
    """Kill every member of a session, and say who still had to be killed.

    By groups: the kernel signals all of a group at once, so that no member can start
    another one in between. As long as the leader has not been reaped, or a member
    lives, nobody else can be given these numbers.

    A program in which each process starts the next one, in a group of its own, and ends,
    can be too quick for that; but it can not hide. Process ids are given out in
    ascending order, and the kernel lists them in ascending order, one by one. So whoever
    is ahead of the reader has his children ahead of it too, and either stays until the
    reader comes by, and is listed, or ends after he has had them. Only those who are
    older than the current round of ids may have children behind the reader. Nobody is
    left, therefore, if two looks in a row list no member, while the ids do not begin
    anew: after the first look all members are younger than it, and the second would
    have listed one of each line. Someone who is listed, but has gone when his session is
    asked for, may have been a member; such a look is no proof, nor is one that
    meets a member which has just ended.

    Args:
        session: the session's id. Its leader has ended, and is not yet reaped.
        proc: where the kernel lists processes.

    Returns:
        The members found, like ``members``; none at all only if there is nobody left;
        ``None`` if that can not be told.
    """
    ended = {session}
    quiet, newest = 0, _newest_process(proc)
    for _ in range(_LOOKS):
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
        session: the session's id.
        ended: the members of which it is known that they have ended; those that are seen
            for the first time are added.
        proc: where the kernel lists processes.
        act: is called with the process group of each member, as soon as it is seen.

    Returns:
        The members that have not ended, and whether no other can have been there of
        those that were listed.
    """
    try:
        pids = [int(name) for name in os.listdir(proc) if name.isdigit()]  # noqa: PTH208
    except OSError as error:
        # There is no list: not on Linux. Anything else, such as no descriptor left for it,
        # is no answer.
        return {}, isinstance(error, FileNotFoundError)
    found: dict[int, int] = {}
    is_sure = True
    # The youngest first: they are the ones who may be gone in a moment.
    for pid in sorted(pids, reverse=True):
        try:
            # getsid() is one cheap call; only members are looked at any closer.
            if os.getsid(pid) != session:
                continue
            group = os.getpgid(pid)
            if _runs(pid, proc):
                act(group)
                found[pid] = group
                continue
        except PermissionError:
            # Under rules of a security module: whoever may not be asked is none of ours.
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
        return True  # It is there, and may not be looked at, or no descriptor is left for it.
    # The second field is the program's name in brackets, and may hold anything.
    fields = stat.rpartition(b")")[2].split()
    # Where only the first thread of a program has ended, the others go on.
    return fields[0] not in _ENDED or int(fields[17]) > 1


def _let_be(_: int) -> None:
    """Do nothing to a process group."""


def _kill_group(group: int) -> None:
    # ESRCH: it has ended by itself. EPERM: it runs as another user, and shows up in the
    # next answer.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _newest_process(proc: Path) -> int:
    """The id that was given to a process or thread last; 0 where that is not known."""
    try:
        return int((proc / "loadavg").read_text().split()[-1])
    except (OSError, ValueError):
        return 0


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

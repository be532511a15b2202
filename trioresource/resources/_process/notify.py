r"""The protocol of ``sd_notify``: a process tells its supervisor how it is doing.

Datagrams of ``NAME=value`` lines, sent to the socket that ``NOTIFY_SOCKET`` names; see
the manual page sd_notify(3).
"""

from __future__ import annotations

import array
import contextlib
import os
import re
import secrets
import socket
import struct
from typing import TYPE_CHECKING, Final, Self, final

import attrs
import trio

from ..._util.external import external

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from trio.socket import SocketType

_LONGEST: Final = 65536
"""Bytes of the longest message; a longer one is cut, and its last line dropped."""
# struct ucred of unix(7): process, user and group id.
_CREDENTIALS: Final = struct.Struct("iII")


@attrs.frozen(kw_only=True)
class Notification:
    """What one message said; what it did not speak of is ``None`` or ``False``."""

    ready: bool = False
    stopping: bool = False
    reloading: bool = False
    alive: bool = False
    """``WATCHDOG=1``."""
    trouble: bool = False
    """``WATCHDOG=trigger``: it asks to be taken for dead."""
    watchdog: float | None = None
    """Seconds: ``WATCHDOG_USEC``, a new interval."""
    extension: float | None = None
    """Seconds: ``EXTEND_TIMEOUT_USEC``, how much longer it needs from now on."""
    status: str | None = None
    error: str | None = None
    """``ERRNO`` in words, or ``BUSERROR``."""


def parse(message: bytes) -> Notification:
    """Read a message; lines that are not understood are passed over.

    ``MAINPID`` is one of them on purpose: what is watched is the process that was
    started, whatever it says.
    """
    said: dict[str, str] = {}
    for line in message.decode("utf-8", errors="replace").split("\n"):
        name, separator, value = line.partition("=")
        if separator:
            said[name] = value
    return Notification(
        ready=said.get("READY") == "1",
        stopping=said.get("STOPPING") == "1",
        reloading=said.get("RELOADING") == "1",
        alive=said.get("WATCHDOG") == "1",
        trouble=said.get("WATCHDOG") == "trigger",
        watchdog=_seconds(said.get("WATCHDOG_USEC")),
        extension=_seconds(said.get("EXTEND_TIMEOUT_USEC")),
        status=said.get("STATUS"),
        error=_error(said.get("ERRNO"), said.get("BUSERROR")),
    )


def _seconds(microseconds: str | None) -> float | None:
    if microseconds is None or not _NUMBER.fullmatch(microseconds):
        return None
    # No number of microseconds is too large to be meant, but it may be for a float, or
    # have more digits than int() takes.
    return min(int(microseconds.lstrip("0")[:20] or 0), 10**15) / 1e6 or None


def _error(number: str | None, name: str | None) -> str | None:
    if number is not None and _NUMBER.fullmatch(number) and int(number[:5]) in _ERRORS:
        return os.strerror(int(number[:5]))
    return name


_NUMBER: Final = re.compile(r"[0-9]+")
"""A number as it is sent; int() takes signs, spaces and the digits of other scripts, too."""
_ERRORS: Final = range(1, 4096)
"""Numbers that errno may have."""


@final
class NotifySocket:
    """The socket that ``NOTIFY_SOCKET`` names; a context manager that closes it.

    In the abstract namespace, so that no file is left, and no right on any directory is
    needed by a process that runs as another user. Anybody may send to it, therefore:
    the kernel tells who did, and only members of the session are listened to.

    Attributes:
        address: the value of ``NOTIFY_SOCKET``.
    """

    def __init__(self) -> None:
        self.address: Final = f"@trioresource/{os.getpid()}/{secrets.token_hex(8)}"

    def __enter__(self) -> Self:
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            plain.bind("\0" + self.address[1:])
            self._socket: SocketType = trio.socket.from_stdlib_socket(plain)
        except BaseException:
            plain.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    async def run(self, session: int, listen: Callable[[Notification], None]) -> None:
        """Hand on what the members of a session say, until cancelled.

        Args:
            session: the session's id.
            listen: is called with each message.
        """
        while True:
            message, ancillary, flags, _ = await external("notification", self._receive)
            sender = _sender(ancillary)
            if flags & socket.MSG_TRUNC:
                message = message.rpartition(b"\n")[0]
            with contextlib.suppress(ProcessLookupError):
                # One who has ended by now can not be told from a stranger. Senders that
                # end at once, like systemd-notify(1), wait until their message was read.
                if sender is not None and os.getsid(sender) == session:
                    listen(parse(message))

    async def _receive(self) -> tuple[bytes, list[tuple[int, int, bytes]], int, object]:
        # Room for descriptors, too: one is sent with BARRIER=1, and closing it is the
        # answer that the sender waits for.
        room = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(
            64 * array.array("i").itemsize
        )
        return await self._socket.recvmsg(_LONGEST, room)


def _sender(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    """The process id of the sender; descriptors that came along are closed."""
    pid: int | None = None
    for _, kind, data in ancillary:
        if kind == socket.SCM_RIGHTS:
            descriptors = array.array("i")
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
            for descriptor in descriptors:
                os.close(descriptor)
        elif kind == socket.SCM_CREDENTIALS:
            pid = _CREDENTIALS.unpack_from(data)[0]
    return pid

"""Receive what a process says by ``sd_notify``.

The process sends datagrams of ``NAME=value`` lines to the socket that ``NOTIFY_SOCKET``
names; see the manual page sd_notify(3).
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

_MAX_MESSAGE: Final = 65536
"""Bytes of a message; a longer message is cut, and its last line dropped."""
# struct ucred of unix(7): process, user and group id.
_CREDENTIALS: Final = struct.Struct("iII")


@attrs.frozen(kw_only=True)
class Notification:
    """The content of one message; what it does not mention is ``None`` or ``False``."""

    ready: bool = False
    stopping: bool = False
    reloading: bool = False
    alive: bool = False
    """``WATCHDOG=1``."""
    trouble: bool = False
    """``WATCHDOG=trigger``: the process asks to be treated as failed."""
    watchdog: float | None = None
    """``WATCHDOG_USEC`` in seconds: a new interval."""
    extension: float | None = None
    """``EXTEND_TIMEOUT_USEC`` in seconds: how much longer the process needs from now on."""
    status: str | None = None
    error: str | None = None
    """``ERRNO`` in words, or ``BUSERROR``."""


def parse(message: bytes) -> Notification:
    """Read a message, and ignore the lines that it does not understand.

    It ignores ``MAINPID`` on purpose: the process to watch is the one that was started.
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
    # A sender may give more digits than int() takes, or a number too large for a float.
    return min(int(microseconds.lstrip("0")[:20] or 0), 10**15) / 1e6 or None


def _error(number: str | None, name: str | None) -> str | None:
    if number is not None and _NUMBER.fullmatch(number) and int(number[:5]) in _ERRORS:
        return os.strerror(int(number[:5]))
    return name


_NUMBER: Final = re.compile(r"[0-9]+")
"""A number in a message; int() alone would also take signs, spaces and digits of other scripts."""
_ERRORS: Final = range(1, 4096)
"""The numbers of errno in Linux."""


@final
class NotifySocket:
    """The socket that ``NOTIFY_SOCKET`` names; a context manager that closes it.

    It lies in the abstract namespace: no file is left behind, and a process that runs as
    another user needs no right on a directory. So every process of this machine can send
    to it. The kernel names the sender, and only members of the session are listened to.

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
        """Pass on what the members of a session say, until cancelled.

        Args:
            session: the id of the session.
            listen: called with each message.
        """
        while True:
            message, ancillary, flags, _ = await external("notification", self._receive)
            sender = _sender(ancillary)
            if flags & socket.MSG_TRUNC:
                message = message.rpartition(b"\n")[0]
            with contextlib.suppress(ProcessLookupError):
                # A sender that has ended by now may have been a stranger: ignore it. Senders
                # that end at once, like systemd-notify(1), wait until their message was read.
                if sender is not None and os.getsid(sender) == session:
                    listen(parse(message))

    async def _receive(self) -> tuple[bytes, list[tuple[int, int, bytes]], int, object]:
        # Leave room for descriptors: BARRIER=1 comes with a descriptor, and the sender waits
        # until it is closed.
        room = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(
            64 * array.array("i").itemsize
        )
        return await self._socket.recvmsg(_MAX_MESSAGE, room)


def _sender(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    """Return the process id of the sender, and close the descriptors that came along."""
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

"""Tell systemd how the cluster is doing, by the protocol of sd_notify(3)."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Self, final

if TYPE_CHECKING:
    from types import TracebackType


@final
class ServiceManager:
    """The service manager that ``NOTIFY_SOCKET`` names, if there is one.

    A context manager. It removes the variable from the environment, so that no child
    speaks in the name of the cluster. Nothing here blocks or raises: a service manager
    that does not listen must not stop the cluster.
    """

    def __init__(self) -> None:
        address = os.environ.pop("NOTIFY_SOCKET", "")
        # "@" stands for the null character of the abstract namespace.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        self._status = ""

    def __enter__(self) -> Self:
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._socket is not None:
            self._socket.close()

    def ready(self) -> None:
        """Say that every resource that should start is online or has failed."""
        self._send("READY=1")

    def stopping(self) -> None:
        """Say that the cluster goes offline."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Say in one line for people how the cluster is, if that has changed."""
        if text != self._status and self._send(f"STATUS={text}"):
            self._status = text

    def _send(self, message: str) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.sendto(message.encode(errors="replace"), self._address)
        except OSError:
            # The service manager has gone, or its queue is full.
            return False
        return True

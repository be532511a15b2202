from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from trioresource.resources._process.notify import Notification, NotifySocket, parse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Until = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"READY=1", Notification(ready=True)),
        (b"READY=1\nSTATUS=a=b\n", Notification(ready=True, status="a=b")),
        (b"STOPPING=1", Notification(stopping=True)),
        (b"RELOADING=1\nMONOTONIC_USEC=5", Notification(reloading=True)),
        (b"WATCHDOG=1", Notification(alive=True)),
        (b"WATCHDOG=trigger", Notification(trouble=True)),
        (b"WATCHDOG_USEC=2500000", Notification(watchdog=2.5)),
        (b"EXTEND_TIMEOUT_USEC=100", Notification(extension=0.0001)),
        (b"EXTEND_TIMEOUT_USEC=-1", Notification()),
        (b"EXTEND_TIMEOUT_USEC=+5", Notification()),
        (b"EXTEND_TIMEOUT_USEC= 5", Notification()),
        (b"EXTEND_TIMEOUT_USEC=1_0", Notification()),
        ("EXTEND_TIMEOUT_USEC=\u0665".encode(), Notification()),
        (b"WATCHDOG_USEC=+5", Notification()),
        (b"WATCHDOG_USEC= 5", Notification()),
        ("WATCHDOG_USEC=\u0665".encode(), Notification()),
        (b"EXTEND_TIMEOUT_USEC=0", Notification()),
        (b"WATCHDOG_USEC=" + b"9" * 40, Notification(watchdog=1e9)),
        (b"ERRNO=2", Notification(error="No such file or directory")),
        (b"ERRNO=0\nBUSERROR=org.x", Notification(error="org.x")),
        (b"ERRNO=+2\nBUSERROR=org.x", Notification(error="org.x")),
        (b"ERRNO=00002x\nBUSERROR=org.x", Notification(error="org.x")),
        (b"ERRNO=99999999\nBUSERROR=org.x", Notification(error="org.x")),
        (b"MAINPID=7\nFDSTORE=1\nnonsense\n\xff\xfe", Notification()),
    ],
)
def test_parse(message: bytes, expected: Notification) -> None:
    assert parse(message) == expected


async def test_own_session_is_heard_and_descriptors_are_closed(until: Until) -> None:
    heard: list[Notification] = []
    with NotifySocket() as notify:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect("\0" + notify.address[1:])
            read, write = os.pipe()
            try:
                socket.send_fds(sender, [b"BARRIER=1"], [write])
                os.close(write)
                sender.send(b"STATUS=after")
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(notify.run, os.getsid(0), heard.append)
                    with trio.fail_after(5):
                        # End of file: the other end has been closed.
                        await trio.lowlevel.wait_readable(read)
                    await until(lambda: len(heard) == 2)
                    nursery.cancel_scope.cancel()
            finally:
                os.close(read)
    assert [said.status for said in heard] == [None, "after"]


async def test_another_session_is_not_heard() -> None:
    heard: list[Notification] = []
    with NotifySocket() as notify, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"READY=1", "\0" + notify.address[1:])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(notify.run, 1, heard.append)
            await trio.testing.wait_all_tasks_blocked(0.01)
            nursery.cancel_scope.cancel()
    assert heard == []

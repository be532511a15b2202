from __future__ import annotations

import logging
import os
import re
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from trioresource._errors import OnlineFailed
from trioresource.resources._process.output import open_output

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Until = Callable[[Callable[[], object]], Awaitable[None]]

LOG = logging.LoggerAdapter(logging.getLogger("test"), {})


async def test_lines_and_the_unfinished_one() -> None:
    async with open_output(LOG, size=3) as output:
        os.write(output.inlet, b"one\r\ntwo\nthree\nfour\nfi\xffve")
        assert output.take()
        assert output.lines() == ("two", "three", "four", "fi\ufffdve")
        os.write(output.inlet, b"\n\n")
        output.close_inlet()
        output.close_inlet()
        assert not output.take()
        assert output.lines() == ("four", "fi\ufffdve", "")


async def test_long_lines_are_cut() -> None:
    async with open_output(LOG, size=10) as output:
        os.write(output.inlet, b"x" * 20000 + b"\n" + b"y" * 9000)
        output.take()
        assert [len(line) for line in output.lines()] == [8192, 8192, 3616, 8192, 808]


async def test_expected_lines() -> None:
    async with open_output(LOG, size=10) as output:
        first, second = output.expect(re.compile("a+b")), output.expect(re.compile("^c"))
        os.write(output.inlet, b"xaab\nxc\n")
        output.take()
        os.write(output.inlet, b"aab\n")
        output.take()
        assert first.is_set()
        assert not second.is_set()


async def test_pump_stays_after_the_end(tmp_path: Path, until: Until) -> None:
    path = tmp_path / "log"
    async with open_output(LOG, size=10, file=str(path)) as output:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(output.pump)
            os.write(output.inlet, b"last words")
            output.close_inlet()
            await until(lambda: path.read_text() == "last words")
            assert len(nursery.child_tasks) == 1
            nursery.cancel_scope.cancel()


async def test_a_full_disk_is_no_reason_to_stop(
    caplog: pytest.LogCaptureFixture, until: Until
) -> None:
    async with open_output(LOG, size=10, file="/dev/full") as output:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(output.pump)
            os.write(output.inlet, b"one\n")
            await until(lambda: caplog.records)
            os.write(output.inlet, b"two\n")
            await until(lambda: output.lines() == ("one", "two"))
            nursery.cancel_scope.cancel()
    assert caplog.messages == [
        "output is no longer written to its file: [Errno 28] No space left on device"
    ]


async def test_a_fifo_without_a_reader_is_refused(tmp_path: Path) -> None:
    """To open it would block until it has a reader."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with trio.fail_after(5):
        with pytest.raises(OnlineFailed, match=r"log_file '.*fifo': No such device or address"):
            async with open_output(LOG, size=10, file=str(path)):
                raise AssertionError("it has no reader")


async def test_a_fifo_that_is_read(tmp_path: Path, until: Until) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        async with open_output(LOG, size=10, file=str(path)) as output:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(output.pump)
                os.write(output.inlet, b"one\n")
                await trio.lowlevel.wait_readable(reader)
                assert os.read(reader, 10) == b"one\n"
                nursery.cancel_scope.cancel()
    finally:
        os.close(reader)


async def test_what_came_last_is_in_the_file_also_when_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with trio.CancelScope() as scope:
        async with open_output(LOG, size=10, file=str(path)) as output:
            os.write(output.inlet, b"x" * 50000)
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert path.stat().st_size == 50000


async def test_more_than_is_taken_at_once(until: Until) -> None:
    async with open_output(LOG, size=10) as output:

        def write() -> None:
            data = b"z" * (3 << 20) + b"\nend\n"
            while data:
                data = data[os.write(output.inlet, data) :]

        async with trio.open_nursery() as nursery:
            nursery.start_soon(output.pump)
            await trio.to_thread.run_sync(write)
            await until(lambda: output.lines()[-1:] == ("end",))
            nursery.cancel_scope.cancel()

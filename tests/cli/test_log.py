"""What is logged during `trioresource run`, for readers that read and for those that do not."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Call, ClusterFile, Start


CHATTY = '[resources.a]\ntype = "TYPE:Chatty"\n'


def logged(errors: str) -> list[str]:
    """The lines of the handler, without what each is filled up with."""
    return [line.rstrip(".") for line in errors.splitlines()]


def test_no_line_is_lost(call: Call, cluster_file: ClusterFile) -> None:
    status, _, errors = call("run", cluster_file(CHATTY), "--for", "0.3", LINES_TO_LOG="5000")
    assert status == 0
    assert logged(errors) == [f"WARNING: line {number} " for number in range(5000)]


def test_a_stalled_reader_does_not_keep_it_from_ending(
    start: Start, cluster_file: ClusterFile
) -> None:
    """Nothing is read from standard error, which takes less than what is logged."""
    running = start("run", cluster_file(CHATTY), LINES_TO_LOG="5000")
    running.until("-> online$")
    running.send(signal.SIGTERM)
    assert running.process.wait(30) == 0
    assert running.process.stderr is not None
    # What was written before it stalled is whole.
    lines = logged(running.process.stderr.read())
    assert 1 < len(lines) < 5000
    assert lines[:-1] == [f"WARNING: line {number} " for number in range(len(lines) - 1)]


def test_nor_when_its_time_is_over(start: Start, cluster_file: ClusterFile) -> None:
    running = start("run", cluster_file(CHATTY), "--json", "--for", "0.3", LINES_TO_LOG="5000")
    assert running.process.wait(30) == 0


def test_lines_that_do_not_fit_are_counted(start: Start, cluster_file: ClusterFile) -> None:
    """More are logged at once than wait for a reader, which comes late and reads all then."""
    running = start("run", cluster_file(CHATTY), LINES_TO_LOG="12000")
    running.until("-> online$")
    running.send(signal.SIGTERM)
    status, errors = running.end()
    assert status == 0
    number = missing = 0
    for line in logged(errors):
        if note := re.fullmatch(r"WARNING: (\d+) log records are missing here", line):
            missing += int(note[1])
            number += int(note[1])
        else:
            assert line == f"WARNING: line {number} "
            number += 1
    assert number == 12000
    assert missing > 0

"""Each way to break the contract is found by the check that is there for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioresource.testing import Verdict, check_handler

from . import broken_handlers as broken

if TYPE_CHECKING:
    from .good_handler import Good


@pytest.mark.parametrize(
    ("handler", "check", "what"),
    [
        (broken.OpensForNothing, "C1", "left behind: open MemorySendChannel"),
        (broken.NotWell, "C2", "is_alive answered no"),
        (broken.StartsTwice, "C9", "after a restart there are 2 processes of it, and 1 before"),
        (broken.LeaksWhenCancelled, "C6", "left behind: fake process"),
        (broken.LosesOnCancel, "C8", "left behind: fake process"),
        (broken.OfflineLeaves, "C12", "left behind: fake process"),
        (broken.ForgetsHalfOpen, "C13", "left behind: fake process"),
        (broken.CleansUpUnshielded, "C13", "left behind: fake process"),
        (broken.SwallowsCancelled, "C13", "Cancelled must be let through"),
        (broken.NeverEnds, "C14", "Deadlock"),
        (broken.TerminateHangs, "C6", "terminate did not end in time"),
        (broken.SaysAlive, "C15", "it was killed, and is online"),
        (broken.BlocksTheLoop, "C18", "kept the event loop for"),
        (broken.LeavesFiles, "C19", "temporary files"),
        (broken.RememberedByAll, "C22", "the same decisions led to something else"),
    ],
)
def test_found(handler: type[Good], check: str, what: str) -> None:
    report = check_handler(handler, only=[check])
    assert report.failed == (check,)
    result = report.result(check)
    assert result.verdict is Verdict.FAILED
    assert what in result.detail


def test_the_note_shows_the_schedule_and_its_token_replays_it() -> None:
    report = check_handler(broken.LosesOnCancel, only=["C8"])
    (result,) = report.results
    # The table has the tasks as columns, and lines of the code under test, not of the kit.
    assert "main/terminate" in result.detail
    assert "broken_handlers" in result.detail
    for of_the_kit in ("_leaks.py", "harness.py", "offline_checks.py"):
        assert of_the_kit not in result.detail
    token = result.detail.partition("--schedule ")[2].split()[0]
    again = check_handler(broken.LosesOnCancel, only=["C8"], replay=token)
    assert again.failed == ("C8",)
    assert "schedule 1 (replay" in again.result("C8").detail


def test_slow_handlers_are_not_run_so_often() -> None:
    report = check_handler(broken.BlocksTheLoop, only=["C18", "C2"])
    assert report.failed == ("C18",)
    assert [result.id for result in report.results] == ["C2", "C18"]

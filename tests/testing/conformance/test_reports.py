"""A correct handler passes; checks are chosen, skipped and reported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import trio

from trioresource import PropertyError, service
from trioresource.testing import Verdict, check_handler

from .good_handler import Good

ROOT = Path(__file__).parents[3]
IDS = [f"C{number}" for number in range(1, 23)]


MEASURE = """
import time
from tests.testing.conformance.good_handler import Good
from trioresource.testing import check_handler

began = time.process_time()
report = check_handler(Good)
print(len(report.results), len(report.failed), time.process_time() - began)
"""


def test_a_correct_handler_passes() -> None:
    report = check_handler(Good)
    assert report.failed == (), str(report)
    assert [result.id for result in report.results] == IDS
    assert {result.verdict for result in report.results} == {Verdict.PASSED}


def test_a_correct_handler_takes_a_few_seconds() -> None:
    # In a process of its own, whose lines no coverage counts; and of its own processor time,
    # for others may be using the computer as well.
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    results, failed, seconds = done.stdout.split()
    assert (int(results), int(failed)) == (len(IDS), 0)
    assert float(seconds) < 5


def test_a_skipped_check_says_why() -> None:
    report = check_handler(Good, only=["c01", "C2"], skip={"C02": "needs a network"})
    assert [result.verdict for result in report.results] == [Verdict.PASSED, Verdict.SKIPPED]
    assert report.result("C2").detail == "needs a network"
    assert "C2   skipped" in str(report)


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_reason_is_not_empty(reason: str) -> None:
    with pytest.raises(ValueError, match="C17 cannot be skipped without a reason"):
        check_handler(Good, skip={"C17": reason})


def test_all_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r"no check 'C23', 'x'; known: C1, .*C22; x cannot be"):
        check_handler(Good, skip={"C23": "because", "x": ""})
    with pytest.raises(ValueError, match="no check 'C0'"):
        check_handler(Good, only=["C0"])


def test_a_token_is_of_one_check() -> None:
    with pytest.raises(ValueError, match="name that check"):
        check_handler(Good, replay="tr1-AA")


def test_what_has_no_process_is_not_killed() -> None:
    async def serve(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await trio.sleep_forever()

    report = check_handler(service(serve))
    assert report.failed == (), str(report)
    assert report.result("C15").verdict is Verdict.NOT_APPLICABLE
    assert "kill=" in report.result("C15").detail


def test_properties_are_checked_first() -> None:
    with pytest.raises(PropertyError):
        check_handler(Good, properties={"colour": "blue"})

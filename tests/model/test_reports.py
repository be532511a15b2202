from __future__ import annotations

from typing import get_args

import attrs
import pytest

from trioresource._model.reports import (
    FailureReason,
    FailureReport,
    MonitorClosing,
    ProbeInconclusive,
    Report,
    StateChange,
)
from trioresource._model.states import ResourceState


@pytest.mark.parametrize("kind", get_args(Report))
def test_every_report_says_which_resource_which_attempt_and_when(kind: type) -> None:
    fields = attrs.fields_dict(kind)
    # That a monitor closes concerns all of its resources.
    whose = set() if kind is MonitorClosing else {"resource", "epoch", "instance", "generation"}
    assert {*whose, "time"} <= fields.keys()


def test_who_reported_and_when_is_no_part_of_what_is_reported() -> None:
    change = StateChange("db", 1, ResourceState.OFFLINE, ResourceState.ONLINE_PENDING, 0.0)
    assert change == attrs.evolve(change, instance=7, generation=9, value="secret")
    assert "secret" not in repr(attrs.evolve(change, value="secret"))


@pytest.mark.parametrize("kind", get_args(Report))
def test_no_report_can_be_changed(kind: type) -> None:
    values = dict.fromkeys((field.alias for field in attrs.fields(kind)), 1)
    report = kind(**values)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        report.epoch = 2


def test_reasons_differ_in_words() -> None:
    words = [reason.value for reason in FailureReason]
    assert len(words) == len(FailureReason.__members__)
    assert len(dict.fromkeys(words)) == len(words)


def test_a_failure_in_words() -> None:
    report = FailureReport("db", 3, FailureReason.TASK_CRASHED, "OSError: gone", 1.5)
    assert str(report) == "a task crashed: OSError: gone"
    assert str(attrs.evolve(report, detail="")) == "a task crashed"


def test_reports_are_equal_whatever_the_exception_object() -> None:
    report = FailureReport("db", 3, FailureReason.ONLINE_RAISED, "x", 1.5, error=OSError())
    assert report == attrs.evolve(report, error=OSError())
    assert report != attrs.evolve(report, epoch=4)
    assert hash(report) == hash(attrs.evolve(report, error=None))
    inconclusive = ProbeInconclusive("db", 3, OSError(), 1.5)
    assert inconclusive == attrs.evolve(inconclusive, error=ValueError())

"""Schedules, as values and as tables."""

from __future__ import annotations

import hashlib
import linecache
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from .._scheduling.stacks import place
from .tokens import encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .._scheduling.running import Run
    from .._scheduling.tracing import Line, Tracer

_WIDEST: Final = 46
_NARROWEST: Final = 18
_TABLE: Final = 132
"""Characters in a row of a table, about: what a wide terminal shows."""
_ROWS: Final = 60
"""Rows in a table; of a longer schedule the end is shown, which explains most."""
_LINES: Final = 6
"""Lines shown of one step; more would hide which task goes next."""
_LEGEND: Final = "* the schedule leaves a task here that could have gone on"


@attrs.frozen
class Step:
    """One step of a schedule: a task ran until its next wait, or something else happened."""

    key: str
    """The name of the task, or what else happened, in angle brackets."""
    time: float = 0.0
    """When it began, in virtual seconds. 0 in a schedule that was not replayed for a report."""
    lines: tuple[tuple[str, int], ...] = ()
    """The lines of the code under test that it ran, each as file and number. Empty in a schedule
    that was not replayed for a report."""


@attrs.frozen(eq=False)
class Schedule:
    """One schedule: the order in which tasks went."""

    picks: tuple[int, ...]
    """The decisions, each an index into what could go; 0 is what had waited longest."""
    steps: tuple[Step, ...]
    departures: tuple[int, ...]
    """The indices of the steps that left a task that could have gone on."""
    duration: float
    """How long it took, in virtual seconds."""
    error: BaseException | None
    """The error by which it failed; ``None`` if it passed."""
    delivered: tuple[str, ...] = ()
    """The results of ``external()``, in words."""

    @property
    def token(self) -> str:
        """The text that replays the schedule."""
        return encode(self.picks)

    @property
    def preemptions(self) -> int:
        """The number of switches away from a task that could have gone on."""
        return len(self.departures)

    @property
    def switches(self) -> int:
        """The number of steps by another task than the step before."""
        return sum(a.key != b.key for a, b in pairwise(self.steps))

    @property
    def digest(self) -> str:
        """16 hexadecimal digits, equal for schedules with the same steps."""
        text = "\n".join(step.key for step in self.steps)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def table(self) -> str:
        """Return the schedule as a table for people, with a column for each task.

        A star marks where the schedule left a task that could have gone on. Lines of source
        are shown only of a schedule that was replayed for a report.
        """
        return "\n".join(_table(self))

    def __str__(self) -> str:
        """Return the token, the numbers of preemptions and switches, and the table."""
        return f"schedule {self.token}: {described(self)}\n{explained(self)}"


def counted(number: int, noun: str) -> str:
    """Say a number of things in words.

    Args:
        number: how many.
        noun: the name of a single thing.
    """
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}{'es' if noun.endswith('ch') else 's'}"


def described(schedule: Schedule) -> str:
    """Say how many preemptions and switches a schedule has, and how much virtual time it takes."""
    preemptions = counted(schedule.preemptions, "preemption")
    switches = counted(schedule.switches, "switch")
    return f"{preemptions}, {switches}, virtual time {schedule.duration:g} s"


def explained(schedule: Schedule) -> str:
    """Return a schedule's table, with the meaning of the star if the table has one."""
    rows = list(_table(schedule))
    starred = any(row.startswith("*") for row in rows)
    return "\n".join([*rows, _LEGEND] if starred else rows)


def schedule_of(run: Run, tracer: Tracer | None = None) -> Schedule:
    """Make the value that describes a run.

    Args:
        run: a schedule that has run.
        tracer: what has noted the lines that it ran, if given.
    """
    controller = run.controller
    return Schedule(
        picks=tuple(index for index, _ in controller.picks),
        steps=tuple(_steps(controller.steps, tracer)),
        departures=tuple(controller.departures),
        duration=controller.now,
        error=run.error,
        delivered=tuple(controller.external_waits.delivered),
    )


def _steps(keys: Sequence[str], tracer: Tracer | None) -> Iterator[Step]:
    traced: Iterator[tuple[str, float, list[Line]]] = iter(tracer.lines if tracer else ())
    time = 0.0
    for key in keys:
        lines: tuple[Line, ...] = ()
        if tracer is not None and not key.startswith("<"):
            _, time, noted = next(traced)
            lines = tuple(noted)
        yield Step(key, time, lines)


def _table(schedule: Schedule) -> Iterator[str]:
    keys = dict.fromkeys(step.key for step in schedule.steps)
    columns = [key for key in keys if not key.startswith("<")]
    files = dict.fromkeys(name for step in schedule.steps for name, _ in step.lines)
    width = min(max(_TABLE // max(len(columns), 1) - 3, _NARROWEST), _WIDEST)
    rows = list(_rows(schedule, short=len(files) == 1))
    if len(files) == 1:
        yield f"    lines of {Path(next(iter(files))).name}:"
    yield "    " + " | ".join(_fit(name, width) for name in columns).rstrip()
    yield "    " + "-|-".join("-" * width for _ in columns)
    if len(rows) > _ROWS:
        yield f"    … {len(rows) - _ROWS} earlier rows …"
    for mark, key, text in rows[-_ROWS:]:
        if key.startswith("<"):
            yield f"{mark} -- {text} --"
        else:
            cells = [_fit(text if name == key else "", width) for name in columns]
            yield f"{mark}   " + " | ".join(cells).rstrip()


def _rows(schedule: Schedule, *, short: bool) -> Iterator[tuple[str, str, str]]:
    """Yield for each row the mark, the name of what went, and the text."""
    position = 0
    for key, group in groupby(schedule.steps, key=lambda step: step.key):
        steps = list(group)
        mark = "*" if position in schedule.departures else " "
        position += len(steps)
        if key.startswith("<"):
            for _ in steps:
                yield mark, key, key.strip("<>")
            continue
        texts = [_source(line, short=short) for step in steps for line in step.lines]
        if len(texts) > _LINES:
            # Keep the first line and the last ones: where the step began, and where it stopped.
            texts[1 : 2 - _LINES] = [f"… {len(texts) - _LINES + 1} lines …"]
        for text in texts or ["(goes on)"]:
            yield mark, key, text
            mark = " "


def _source(line: tuple[str, int], *, short: bool) -> str:
    filename, number = line
    where = str(number) if short else place(filename, number)
    return f"{where} {linecache.getline(filename, number).strip()}"


def _fit(text: str, width: int) -> str:
    return text[: width - 1] + "…" if len(text) > width else text.ljust(width)

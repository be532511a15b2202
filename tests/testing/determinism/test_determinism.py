"""The same decisions lead to the same: in every run, process and interpreter.

``scripts/check-digests`` asks other interpreters and other versions of Trio, and
``python -m tests.testing.determinism`` replays more than there is time for here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trioresource.testing import explore, replay
from trioresource.testing._scheduling.running import Settings, run
from trioresource.testing._search.strategies import RandomWalk

from .oracle import Oracle
from .outside import OUTSIDE
from .recording import DIGESTS, TRACES, digests, exact_replays, record
from .scenarios import PORTABLE, PROGRAMS

ROOT = Path(__file__).parents[3]
WITHOUT_CHOICES = [name for name in PORTABLE if name != "choices"]
"""The oracle decides who goes, and nothing else."""


def test_replays_are_exact() -> None:
    assert exact_replays(PROGRAMS, 1500) == 1500


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_schedules_differ(name: str) -> None:
    traces = record(PROGRAMS[name], 50)
    assert len({trace.digest for trace in traces}) > 5
    assert len({trace.result for trace in traces}) > 1


def test_the_digests_are_those_of_every_other_interpreter() -> None:
    lines = list(digests())
    assert len(lines) * TRACES == 200
    assert lines == DIGESTS.read_text().splitlines()


@pytest.mark.parametrize("seed", ["0", "1", "4711", "random"])
def test_the_digests_do_not_depend_on_hashes(seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    command = [sys.executable, "-m", "tests.testing.determinism", "--print"]
    printed = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    assert printed == DIGESTS.read_text()


@pytest.mark.parametrize("name", WITHOUT_CHOICES)
def test_another_way_of_control_leads_to_the_same(name: str) -> None:
    scenario = PORTABLE[name].scenario
    ours, others = RandomWalk(name), RandomWalk(name)
    for _ in range(150):
        result = run(scenario, ours, Settings())
        assert result.error is None
        # Time that passes while all tasks wait is no step of the oracle.
        steps = [key for key in result.controller.steps if key != "<clock>"]
        assert (steps, repr([result.value])) == Oracle(others).run(scenario)


@pytest.mark.parametrize("name", OUTSIDE)
def test_replays_of_processes_and_threads_are_exact(name: str) -> None:
    assert exact_replays({name: OUTSIDE[name]}, 20) == 20


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", OUTSIDE)
def test_a_token_says_in_which_order_processes_and_threads_are_heard_of(
    name: str, seed: int
) -> None:
    async def scenario() -> None:
        await OUTSIDE[name].scenario()
        # Only what fails is handed out.
        raise LookupError

    recorded = explore(scenario, seed=seed, check=False).failure
    assert recorded is not None
    assert isinstance(recorded.error, LookupError)
    assert any(text.startswith("<external") for text in recorded.delivered)
    again = replay(scenario, recorded.token, check=False).failure
    assert again is not None
    assert (again.digest, again.delivered) == (recorded.digest, recorded.delivered)

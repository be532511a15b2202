"""The example that `make demo` runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Start

FILE = str(Path(__file__).parents[2] / "examples" / "quickstart.toml")


def test_it_recovers_and_goes_down_in_order_twice_at_a_time(start: Start) -> None:
    """Two runs side by side do not get in each other's way."""
    runs = [start("run", FILE, "--for", "6"), start("run", FILE, "--for", "6", "--json")]
    assert [run.end() for run in runs] == [(0, ""), (0, "")]
    text = runs[0].lines
    told = [line for line in text if "saboteur" in line]
    assert any("with SIGKILL" in line for line in told)
    assert any("ms after the kill: the API has been taken down" in line for line in told)
    assert any("ms after the kill: the API answers" in line for line in told)
    database, api = text[text.index("What was down:") + 1 :]
    assert re.match("  database  down at .* online again after .*: .*killed by SIGKILL", database)
    assert re.match("  api       down at .* online again after .*: database failed", api)

    events = [json.loads(line) for line in runs[1].lines]
    down = [
        one["resource"]
        for one in events
        if one["event"] == "state" and one["new"] == "offline" and one["resource"] != "saboteur"
    ]
    # The API goes first each time, for the database and at the end.
    assert down[:2] == ["api", "api"]
    assert sorted(down[2:]) == ["cache", "database"]

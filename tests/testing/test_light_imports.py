"""What is not used is not loaded: pytest loads the plugin in every run of every program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "trioresource"

# Without the module trioresource itself, which other tests look at.
PROGRAM = """
import sys, types

package = types.ModuleType("trioresource")
package.__path__ = [{path!r}]
sys.modules["trioresource"] = package
{statement}
print(*sys.modules, sep="\\n")
"""


def loaded_by(statement: str) -> set[str]:
    program = PROGRAM.format(path=str(PACKAGE), statement=statement)
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


def test_the_plugin_loads_nothing() -> None:
    loaded = loaded_by("import trioresource.pytest_plugin")
    ours = {name for name in loaded if name.startswith("trioresource.")}
    assert ours == {"trioresource.pytest_plugin"}
    assert loaded.isdisjoint({"trio", "attrs", "pydantic", "hypothesis"})


@pytest.mark.parametrize(
    ("statement", "cluster"),
    [
        ("from trioresource.testing import explore, no_leaks, sweep", False),
        ("import trioresource.testing.hypothesis", False),
        ("from trioresource.testing import simulated_cluster", True),
        ("from trioresource.testing import check_handler", True),
    ],
)
def test_a_search_loads_no_cluster(statement: str, cluster: bool) -> None:
    loaded = loaded_by(statement)
    assert "trioresource.testing._search.explore" in loaded
    assert ("trioresource._monitor" in loaded) is cluster
    assert ("pydantic" in loaded) is cluster


def test_an_unknown_name() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        loaded_by("from trioresource.testing import explode")
    assert "cannot import name 'explode' from 'trioresource.testing'" in caught.value.stderr

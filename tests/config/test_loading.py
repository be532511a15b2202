"""Loading a cluster file into a cluster."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
import trio

from trioresource import DesiredState, ResourceHandler, ResourceState, open_cluster
from trioresource._model.properties import NoProperties
from trioresource.config import add_resources, load_cluster_file

if TYPE_CHECKING:
    from pathlib import Path

    from trioresource.config import ClusterConfig

opened: list[str] = []
closed: list[str] = []


class Slow(ResourceHandler[NoProperties]):
    async def open(self) -> None:
        opened.append(self.name)
        if self.name == "broken":
            raise LookupError("no key")

    async def online(self, scope: object) -> None:
        await trio.sleep(10)

    async def close(self) -> None:
        closed.append(self.name)
        if self.name == "cache":
            raise RuntimeError("will not close")


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    """This module under a name that a cluster file can give."""
    import sys
    import types

    found = types.ModuleType("handlers_of_loading_tests")
    found.__dict__["Slow"] = Slow
    monkeypatch.setitem(sys.modules, found.__name__, found)
    opened.clear()
    closed.clear()


def read(directory: Path, text: str) -> ClusterConfig:
    file = directory / "cluster.toml"
    file.write_text(dedent(text).replace("Slow", "handlers_of_loading_tests:Slow"))
    return load_cluster_file(file)


FILE = """
    [resources.web]
    type = "Slow"
    depends_on = ["db", "cache"]
    poll = { is_alive = 7 }
    restart = { threshold = 9 }

    [resources.db]
    type = "Slow"
    autostart = false

    [resources.cache]
    type = "Slow"

    [resources.spare]
    type = "Slow"
    group = "others"
    autostart = false
"""


async def test_autostart_and_its_providers_are_brought_online(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    config = read(tmp_path, FILE)
    async with open_cluster() as cluster:
        before = trio.current_time()
        wanted = await add_resources(cluster, config)
        assert trio.current_time() == before  # Nobody has waited.
        assert opened == ["db", "cache", "web", "spare"]
        assert [one.name for one in wanted] == ["cache", "web"]
        online = DesiredState.ONLINE
        assert [one.name for one in cluster.resources.values() if one.desired is online] == [
            "db",
            "cache",
            "web",
        ]
        await wanted[1].wait_online()
        assert trio.current_time() - before == pytest.approx(20)
        assert cluster.resource("spare").state is ResourceState.OFFLINE
        assert cluster.resource("spare").group == "others"
        assert cluster.resource("web").providers == ("db", "cache")


async def test_nothing_is_brought_online_without_autostart(tmp_path: Path) -> None:
    config = read(tmp_path, '[resources.a]\ntype = "Slow"\nautostart = false\n')
    async with open_cluster() as cluster:
        assert await add_resources(cluster, config) == ()
        assert cluster.resource("a").desired is DesiredState.OFFLINE


async def test_all_or_nothing(tmp_path: Path) -> None:
    file = FILE + '\n    [resources.broken]\n    type = "Slow"\n    depends_on = "web"\n'
    config = read(tmp_path, file)
    async with open_cluster() as cluster:
        with pytest.raises(LookupError, match="no key") as caught:
            await add_resources(cluster, config)
        assert caught.value.__notes__ == ["resource 'broken' could not be added"]
        assert cluster.resources == {}
    assert closed[-3:] == ["web", "cache", "db"]

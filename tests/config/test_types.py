"""Finding resource types, and reading a cluster file with them."""

from __future__ import annotations

import re
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from trioresource._errors import ConfigError, UnknownType
from trioresource._handler import ResourceHandler, resource_type
from trioresource._model.policy import Deadlines
from trioresource._model.properties import NoProperties, Properties
from trioresource.config import find_type, known_types, load_cluster_file, parse_cluster_file

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
    from trioresource._handler import ResourceHandler

    class Good(ResourceHandler):
        class Inner(ResourceHandler):
            pass

    class Plain:
        pass

    async def serve(task_status):
        pass
"""


class DemoProperties(Properties):
    port: int


@resource_type("demo", deadlines=Deadlines(pending=7), property_defaults={"port": 80})
class Demo(ResourceHandler[DemoProperties]):
    pass


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory on the module path, with a module and a distribution that registers types."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "registry_sample.py").write_text(dedent(MODULE))
    (site / "registry_broken.py").write_text("1 / 0\n")
    register(
        site,
        "sample",
        """
        zebra = registry_sample:Good
        aardvark = registry_sample : Good.Inner [extra]
        absent = registry_absent:Good
        broken = registry_broken:Good
        crooked = no colon here
        """,
    )
    monkeypatch.syspath_prepend(site)
    # So that each test imports them anew, and none finds them later.
    for name in ("registry_sample", "registry_broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return site


def register(site: Path, distribution: str, types: str) -> None:
    info = site / f"{distribution}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[trioresource.types]\n{dedent(types)}")


def refused(name: str) -> str:
    with pytest.raises(UnknownType) as caught:
        find_type(name)
    return str(caught.value)


def test_known_types_are_sorted_and_not_imported() -> None:
    known = known_types()
    assert list(known) == sorted(known)
    assert {"aardvark", "absent", "broken", "crooked", "zebra"} <= set(known)
    assert known["zebra"].value == "registry_sample:Good"
    assert "registry_sample" not in sys.modules


def test_a_registered_type() -> None:
    found = find_type("zebra")
    assert issubclass(found, ResourceHandler)
    assert (found.__module__, found.__qualname__) == ("registry_sample", "Good")
    assert find_type("aardvark").__qualname__ == "Good.Inner"


def test_a_class_that_is_not_registered() -> None:
    assert find_type("registry_sample:Good") is find_type("zebra")


def test_two_registrations_of_one_name(installed: Path) -> None:
    register(
        installed,
        "rival",
        """
        zebra = a_rival:Good
        service = a_rival:Service
        """,
    )
    register(installed, "own", "service = trioresource.resources.service:FunctionService")
    assert known_types()["zebra"].value == "a_rival:Good"
    assert known_types()["service"].value.startswith("trioresource.")


def test_unknown_names() -> None:
    text = refused("zebar")
    assert text.startswith("no resource type is called 'zebar'; did you mean 'zebra'? known: ")
    assert "aardvark, absent, broken, crooked" in text
    assert text.endswith("any other can be named as package.module:Class")
    assert "known: none" not in text
    assert refused("Q").startswith("no resource type is called 'Q'; known: ")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "registry_absent:Good",
            "registry_absent:Good: module registry_absent cannot be imported:"
            " ModuleNotFoundError: No module named 'registry_absent'",
        ),
        (
            "absent",
            "absent (registry_absent:Good): module registry_absent cannot be imported:"
            " ModuleNotFoundError: No module named 'registry_absent'",
        ),
        (
            "broken",
            "broken (registry_broken:Good): module registry_broken cannot be imported:"
            " ZeroDivisionError: division by zero",
        ),
        ("crooked", "crooked (no colon here): not of the form package.module:Class"),
        (":Good", ":Good: not of the form package.module:Class"),
        ("registry_sample:", "registry_sample:: not of the form package.module:Class"),
        (".sample:Good", ".sample:Good: not of the form package.module:Class"),
        (
            "registry_sample:Missing",
            "registry_sample:Missing: module registry_sample has no 'Missing';"
            " resource handlers in it: Good",
        ),
        (
            "re:Missing",
            "re:Missing: module re has no 'Missing'; resource handlers in it: none",
        ),
        (
            "registry_sample:Plain",
            "registry_sample:Plain: not a resource handler;"
            " a resource type is a subclass of trioresource.ResourceHandler",
        ),
        (
            "registry_sample:serve",
            "registry_sample:serve: not a resource handler; to run an async function, write"
            ' type = "service" and properties = { function = "registry_sample:serve" }',
        ),
    ],
)
def test_types_that_can_not_be_used(name: str, expected: str) -> None:
    assert refused(name) == f"resource type {expected}"


def test_interrupts_go_through_the_import_of_a_module(installed: Path) -> None:
    (installed / "registry_interrupts.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        find_type("registry_interrupts:Good")


def test_a_resource_has_the_class_that_its_type_stands_for() -> None:
    sys.modules.setdefault(__name__, sys.modules[Demo.__module__])
    config = parse_cluster_file(
        f"""
        [resources.demo]
        type = "{__name__}:Demo"
        deadlines = {{ soft = 1 }}
        [resources.good]
        type = "zebra"
        """
    )
    demo, good = config.resources.values()
    assert (demo.handler, demo.type) == (Demo, f"{__name__}:Demo")
    # The port that the type sets is enough, though the properties require one.
    assert demo.properties == {}
    assert demo.deadlines == Deadlines(soft=1, pending=7)
    assert (good.handler, good.type) == (find_type("registry_sample:Good"), "zebra")
    assert good.handler.properties_type is NoProperties


def test_types_can_be_found_in_another_way() -> None:
    config = parse_cluster_file('resources.a.type = "mine"', resolve={"mine": Demo}.__getitem__)
    assert config.resources["a"].handler is Demo


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else dedent(text).lstrip("\n").encode())
    return path


def test_load_cluster_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(
        tmp_path / "c.toml",
        """
        \ufeff[resources.web]
        type = "trioresource.resources.service:FunctionService"
        properties = { function = "registry_sample:serve" }
        [resources.demo]
        type = "test_registry:Demo"
        properties = { port = { from_env = "PORT" } }
        deadlines = { soft = 1 }
        """,
    )
    monkeypatch.setitem(sys.modules, "test_registry", sys.modules[Demo.__module__])
    monkeypatch.setenv("PORT", "81")
    config = load_cluster_file(file)
    assert config.start_order("default") == (("web", "demo"),)
    assert config.resources["demo"].properties == {"port": "81"}
    assert config.resources["demo"].deadlines == Deadlines(soft=1, pending=7)
    given = load_cluster_file(str(file), environment={"PORT": "82"})
    assert given.resources["demo"].properties == {"port": "82"}


def load_mistakes(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_cluster_file(path)
    return [line.replace(str(path), "FILE") for line in caught.value.mistakes]


def test_mistakes_name_the_file_as_it_was_given(tmp_path: Path) -> None:
    file = write(tmp_path / "c.toml", '[resources.a]\n\ntype = "zebar"\n')
    (only,) = load_mistakes(file)
    assert re.match(r"FILE:3: \[resources\.a\] type: no resource type is called 'zebar';", only)


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    assert load_mistakes(tmp_path / "none.toml") == [
        "FILE: cannot be read: No such file or directory"
    ]
    assert load_mistakes(tmp_path) == ["FILE: cannot be read: Is a directory"]
    latin = write(tmp_path / "latin.toml", "# one\n# zwölf\n".encode("latin-1"))
    assert load_mistakes(latin) == ["FILE:2: not UTF-8: byte 0xf6; save the file as UTF-8"]


def test_a_module_that_exits_when_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "exits_at_import.py").write_text("raise SystemExit(0)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UnknownType, match="cannot be imported: SystemExit: 0"):
        find_type("exits_at_import:Anything")

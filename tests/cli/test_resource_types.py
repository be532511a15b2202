"""`trioresource types` and `trioresource describe`."""

from __future__ import annotations

import json
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from trioresource._cli.exit_status import ExitStatus
from trioresource._cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Call


MODULE = '''
    from typing import Annotated

    from pydantic import Field, SecretStr

    from trioresource import (
        Deadlines,
        PollIntervals,
        Properties,
        ResourceHandler,
        dynamic,
        read_only,
        resource_type,
    )


    class P(Properties):
        port: Annotated[int, Field(ge=1, le=9)]
        """Where
        it listens."""
        host: Annotated[str, dynamic] = "localhost"
        made_by: Annotated[str, read_only] = "us"
        password: SecretStr = SecretStr("hush")


    @resource_type(
        "sample",
        deadlines=Deadlines(pending=7),
        poll=PollIntervals(is_alive=3, failures=2, window=4),
        property_defaults={"port": 4, "password": "default-secret"},
    )
    class Sample(ResourceHandler[P]):
        """A sample.

        With more to say.
        """

        def looks_alive(self):
            return True


    class Bare(ResourceHandler):
        pass
'''


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory with a distribution that registers types, good and broken."""
    place = tmp_path / "site"
    info = place / "others-3.2.dist-info"
    info.mkdir(parents=True)
    (place / "others.py").write_text(dedent(MODULE))
    (place / "others_exit.py").write_text("raise SystemExit(5)\n")
    (info / "METADATA").write_text("Metadata-Version: 2.3\nName: others\nVersion: 3.2\n")
    (info / "entry_points.txt").write_text(
        "[trioresource.types]\n"
        "sample = others:Sample\nbroken = others_absent:X\nscript = others_exit:X\n"
    )
    return place


def test_types(site: Path, call: Call) -> None:
    status, out, _ = call("types", PYTHONPATH=str(site))
    assert status == 0
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert lines["sample"].split(maxsplit=1)[1] == "A sample. (from others 3.2)"
    assert "A program in a session of its own. (from trioresource" in lines["process"]
    assert "BROKEN" in lines["broken"]
    assert "others_absent cannot be imported" in lines["broken"]
    assert lines["broken"].endswith("(from others 3.2)")
    assert "module others_exit cannot be imported: SystemExit: 5" in lines["script"]


def test_types_as_json(site: Path, call: Call) -> None:
    status, out, _ = call("types", "--json", PYTHONPATH=str(site))
    assert status == 0
    found = {one["type"]: one for one in map(json.loads, out.splitlines())}
    assert found["sample"] == {
        "type": "sample",
        "doc": "A sample.",
        "class": "others:Sample",
        "from": "others 3.2",
        "broken": None,
    }
    assert "No module named" in found["broken"]["broken"]


def test_describe(site: Path, call: Call) -> None:
    status, out, _ = call("describe", "sample", PYTHONPATH=str(site))
    assert status == 0
    assert out == dedent("""\
        sample (others:Sample)

        A sample.

        With more to say.

        Properties:
          port: whole number, at least 1, at most 9 (default: 4)
              Where it listens.
          host: text (dynamic; default: localhost)
          made_by: text (read-only; default: us)
          password: secret text (secret; default: ********)

        Deadlines: soft 0.3 s, pending 7 s, deadlock 300 s, terminate 30 s
        Polls: looks-alive 5 s; is-alive 3 s, failed after 2 of 4 bad answers""")


def test_describe_as_json(site: Path, call: Call) -> None:
    status, out, _ = call("describe", "others:Sample", "--json", PYTHONPATH=str(site))
    assert status == 0
    found = json.loads(out)
    assert found["class"] == "others:Sample"
    assert found["doc"] == "A sample.\n\nWith more to say."
    assert found["deadlines"] == {"soft": 0.3, "pending": 7, "deadlock": 300, "terminate": 30}
    assert found["poll"] == {"looks_alive": 5, "is_alive": 3, "failures": 2, "window": 4}
    properties = {one["name"]: one for one in found["properties"]}
    assert properties["port"]["default"] == "4"
    assert properties["password"]["default"] == "********"
    assert properties["made_by"]["read_only"] is True
    assert "secret" not in out.replace('"secret"', "").replace("secret text", "")


def test_describe_looks_in_the_current_directory(
    site: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(site)
    monkeypatch.setattr("sys.path", ["elsewhere", *__import__("sys").path])
    assert main(["describe", "others:Bare"]) == 0
    out = capfd.readouterr().out
    assert "It has no properties." in out
    assert "looks-alive not polled; is-alive 60 s" in out


@pytest.mark.parametrize(
    ("module", "handlers"),
    [("trioresource.resources.process", "Process"), ("trioresource.resources.service", "Function")],
)
def test_describe_names_the_handlers_of_a_module_that_says_where_to_import_them_from(
    module: str, handlers: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["describe", f"{module}:Nothing"]) == ExitStatus.USAGE
    assert f"resource handlers in it: {handlers}" in capfd.readouterr().err

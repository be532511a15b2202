"""Runs what the documentation shows, and checks that it does what the documentation says.

On every page of docs/ and in README.md:

- A ``python`` snippet is run, on virtual time. The snippets of a page share one namespace, in
  the order of the page. A ``text`` block that comes next is what the snippet must print.
- A snippet with a title (```` ```python title="lock.py" ````) is also saved under that name,
  where the later snippets of the page can import or read it.
- A ``toml`` snippet is read as a cluster file. A ``text`` block that comes next is the
  message of the error that it must cause.
- A ``console`` snippet after ``<!-- checked -->`` is run: each line that begins with ``$``
  is a command, the lines below it are what it prints. A line that is only ``…`` stands for
  any lines; how long ``pytest`` took does not matter.
- ``<!-- not tested: REASON -->`` before a snippet takes it out of all this.

The pages of docs/reference/ are made from docstrings, which are Markdown: what is left of
another markup would show. They name things as users do, by public paths.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import io
import logging
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
import trio
import trio.testing

from trioresource import ConfigError
from trioresource.config import parse_cluster_file

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = sorted(
    path for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")) if path.is_file()
)
FENCE: Final = re.compile(
    r"^(?P<indent> *)(?P<ticks>`{3,})(?P<language>\w*)(?P<options>[^\n`]*)\n"
    r"(?P<code>.*?)"
    r"^(?P=indent)(?P=ticks)[ ]*$",
    re.MULTILINE | re.DOTALL,
)
TITLE: Final = re.compile(r'title="([^"]+)"')
MARKER: Final = re.compile(r"<!-- (?P<kind>checked|not tested: (?P<reason>[^>]+?)) -->\s*\Z")
RUN: Final = ("python", "toml", "console")
DURATION: Final = re.compile(r"\bin \d+\.\d+s\b")
PLAIN: Final = {"NO_COLOR": "1", "COLUMNS": "100", "PYTEST_ADDOPTS": ""}
"""No colours, lines of a fixed width, and nobody's own options."""

# Virtual time must not jump while an answer of a local connection is on its way.
QUIET: Final = 0.05


class Snippet(NamedTuple):
    page: Path
    line: int
    language: str
    title: str | None
    marker: str | None
    code: str
    shown: str | None
    """The ``text`` block that comes next."""

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def snippets(page: Path) -> Iterator[Snippet]:
    text = page.read_text(encoding="utf-8")
    blocks = list(FENCE.finditer(text))
    for number, block in enumerate(blocks):
        following = blocks[number + 1] if number + 1 < len(blocks) else None
        title = TITLE.search(block["options"])
        marker = MARKER.search(text[: block.start()])
        yield Snippet(
            page,
            text.count("\n", 0, block.start()) + 1,
            block["language"],
            title and title[1],
            marker and marker["kind"],
            undent(block),
            undent(following) if following and following["language"] == "text" else None,
        )


def undent(block: re.Match[str]) -> str:
    return re.sub(f"^{block['indent']}", "", block["code"], flags=re.MULTILINE)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the snippets of a page live; what they import from there is forgotten again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    before = set(sys.modules)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if name not in before and file.startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def namespace(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that the snippets of a page are run in."""
    module = ModuleType("__main__")
    # Pydantic looks up the annotations of a class in its module.
    monkeypatch.setitem(sys.modules, "__main__", module)
    return module


@pytest.fixture
def on_virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours pass in milliseconds, for snippets that bring no clock of their own."""
    run = trio.run

    @functools.wraps(run)
    def run_on_virtual_time(*args: Any, **options: Any) -> object:
        options.setdefault("clock", trio.testing.MockClock(autojump_threshold=QUIET))
        return run(*args, **options)

    monkeypatch.setattr(trio, "run", run_on_virtual_time)


@pytest.mark.usefixtures("on_virtual_time")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_snippets_of(page: Path, directory: Path, namespace: ModuleType) -> None:
    with unconfigured_logging():
        for snippet in snippets(page):
            check(snippet, directory, namespace)


def check(snippet: Snippet, directory: Path, namespace: ModuleType) -> None:
    if snippet.marker is not None and snippet.marker.startswith("not tested"):
        return
    if snippet.title is not None:
        (directory / snippet.title).write_text(snippet.code, encoding="utf-8")
        forget(snippet.title)
    if snippet.language == "python":
        check_python(snippet, namespace)
    elif snippet.language == "toml":
        check_toml(snippet)
    elif snippet.language == "console" and snippet.marker == "checked":
        check_console(snippet, directory)


@contextlib.contextmanager
def unconfigured_logging() -> Iterator[None]:
    """Let snippets configure logging as in a program of their own; afterwards all is as before."""
    loggers = [logging.getLogger(), logging.getLogger("trioresource.cluster")]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    loggers[0].handlers = []  # Those of pytest: with them, basicConfig() does nothing.
    try:
        yield
    finally:
        for logger, handlers, level, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)


def forget(file: str) -> None:
    """A page may show a module again, when it has changed."""
    name, _, suffix = file.rpartition(".")
    if suffix == "py":
        sys.modules.pop(name, None)
        importlib.invalidate_caches()


def check_python(snippet: Snippet, namespace: ModuleType) -> None:
    # The lines before it make tracebacks point into the page.
    code = compile("\n" * snippet.line + snippet.code, snippet.page, "exec", dont_inherit=True)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, vars(namespace))
    compare(snippet, printed.getvalue())


def check_toml(snippet: Snippet) -> None:
    message = ""
    try:
        file = snippet.title or snippet.place
        parse_cluster_file(snippet.code, file=file, environment={})
    except ConfigError as error:
        message = f"{error}\n"
    compare(snippet, message)


def check_console(snippet: Snippet, directory: Path) -> None:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    printed = ""
    for line in snippet.code.splitlines():
        if not line.startswith("$ "):
            continue
        command = re.sub(r"\b(trioresource|pytest) (?=[-\w])", as_module, line[2:], count=1)
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": path, **PLAIN},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        printed += f"{line}\n{done.stdout}"
    shown = DURATION.sub("in some time", snippet.code.rstrip())
    printed = DURATION.sub("in some time", printed.rstrip())
    if "…" not in shown.splitlines():
        assert printed == shown, snippet.place
    else:
        assert re.fullmatch(with_gaps(shown), f"{printed}\n"), f"{snippet.place}: not so\n{printed}"


def as_module(program: re.Match[str]) -> str:
    return f"{shlex.join([sys.executable, '-m', program[1]])} "


def with_gaps(shown: str) -> str:
    """The pattern of a text in which a line ``…`` stands for any lines, or none."""
    return "".join(
        r"(?:.*\n)*" if line == "…" else f"{re.escape(line)}\n" for line in shown.splitlines()
    )


def compare(snippet: Snippet, printed: str) -> None:
    shown = snippet.shown or ""
    assert printed.rstrip() == shown.rstrip(), f"{snippet.place} shows something else"


def test_every_snippet_is_tested_or_says_why_not() -> None:
    untested = [
        snippet.place
        for page in PAGES
        for snippet in snippets(page)
        if snippet.language == "console" and snippet.marker is None
    ]
    assert not untested


def test_every_block_names_its_language() -> None:
    """A block without a language would not be looked at."""
    unnamed = [
        snippet.place
        for page in PAGES
        for snippet in snippets(page)
        if snippet.language not in (*RUN, "text", "mermaid", "ini", "sh")
    ]
    assert not unnamed


MENTIONED: Final = re.compile(r"`((?:trioresource|tests|examples|docs)/[\w./-]+)(?:::(\w+))?`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_tests_that_are_mentioned_exist(page: Path) -> None:
    missing = []
    for file, function in MENTIONED.findall(page.read_text(encoding="utf-8")):
        path = ROOT / file
        if not path.exists() or (function and f"def {function}(" not in path.read_text()):
            missing.append(f"{file}::{function}" if function else file)
    assert not missing


PACKAGE: Final = ROOT / "trioresource"
RST: Final = re.compile(
    r"::$"  # begins a block of code
    r"|^\s*\.\. \w+::"  # a directive
    r"|:(?:attr|class|const|data|exc|func|meth|mod|obj|ref):`",  # a reference
    re.MULTILINE,
)


def test_docstrings_are_markdown() -> None:
    """Of modules, classes, functions and attributes: every string that is a statement."""
    left = []
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                continue
            text = str(node.value.value)
            for found in RST.finditer(text):
                line = node.lineno + text.count("\n", 0, found.start())
                left.append(f"{file.relative_to(ROOT)}:{line}: {found[0].strip()}")
    assert not left, "\n".join(["left of reStructuredText:", *left])


REFERENCE: Final = sorted((ROOT / "docs" / "reference").glob("*.md"))


@pytest.mark.parametrize("page", REFERENCE, ids=lambda page: page.name)
def test_the_reference_names_public_paths(page: Path) -> None:
    named = re.findall(r"^::: (\S+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert named
    assert [name for name in named if "._" in name] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_into_the_reference_are_to_public_paths(page: Path) -> None:
    linked = re.findall(r"\]\[(trioresource\.[\w.]+)\]", page.read_text(encoding="utf-8"))
    assert [name for name in linked if "._" in name] == []

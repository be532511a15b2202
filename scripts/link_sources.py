"""Link the files that the pages of the documentation name, for mkdocs (``hooks`` in mkdocs.yml).

A path in backticks, with or without a function (``trioresource/_cluster/engine.py::online``),
becomes a link to that file in the public repository. ``tests/test_docs.py`` checks that the file
and the function exist.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent
NAMED: Final = re.compile(
    r"(?<![\[`])`(?P<path>(?:trioresource|tests|examples)/[\w./-]+)(?:::\w+)?`"
)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return the text of a page with its links."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    source = f"{urls['Source']}/blob/main"
    return NAMED.sub(lambda found: f"[{found[0]}]({source}/{found['path']})", markdown)

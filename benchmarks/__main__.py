"""``python -m benchmarks``: run them, show the figures, fail if a bar is missed."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import trio

from benchmarks import cycle, explore, memory, pending, polling, processes
from benchmarks.measure import FULL, QUICK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.measure import Effort, Row

BENCHMARKS: Final = {one.NAME: one for one in (cycle, polling, memory, pending, processes, explore)}

_LINE: Final = "  {:<44}{:>14}{:>14}{:>9}  {:<17}{:>6}  {}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run benchmarks from the command line.

    Returns:
        The exit status: 0 if no bar is missed, 1 otherwise.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    unknown = [name for name in options.name if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    effort = QUICK if options.quick else FULL
    begun = time.perf_counter()
    rows = [row for name in options.name or BENCHMARKS for row in _run(name, effort, options.json)]
    missed = [row for row in rows if not row.met]
    if options.json:
        report = {
            "platform": _platform(),
            "quick": options.quick,
            "rows": [row.as_dict() for row in rows],
            "met": not missed,
        }
        print(json.dumps(report, indent=2))
    else:
        bars = sum(row.bar is not None and row.result is not None for row in rows)
        print(f"\n{bars - len(missed)} of {bars} bars met, {time.perf_counter() - begun:.0f} s")
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "name",
        nargs="*",
        metavar="NAME",
        help=f"the benchmarks to run: {', '.join(BENCHMARKS)}; all by default",
    )
    parser.add_argument("--quick", action="store_true", help="fewer pairs, smaller sizes")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    return parser


def _run(name: str, effort: Effort, quiet: bool) -> list[Row]:
    benchmark = BENCHMARKS[name]
    if not quiet:
        print(f"\n{name}: {benchmark.TITLE}")
        columns = ("ours", "other", "result", "quartiles", "n", "bar")
        print(_LINE.format("", *columns).rstrip(), flush=True)
    rows = []
    for row in benchmark.run(effort):
        rows.append(row)
        if not quiet:
            print(_line(row), flush=True)
    return rows


def _line(row: Row) -> str:
    unit = "" if row.result_unit == "x" else f" {row.result_unit}"
    spread = "" if row.low is None else f"{row.low:.3g} .. {row.high:.3g}"
    verdict = ""
    if row.bar is not None and row.result is not None:
        verdict = f"<= {row.bar:g}{unit}: {'met' if row.met else 'MISSED'}"
    return _LINE.format(
        row.what,
        "" if row.ours is None else f"{row.ours:,.4g} {row.unit}",
        "" if row.other is None else f"{row.other:,.4g} {row.unit}",
        "" if row.result is None else f"{row.result:.3g}{unit or ' x'}",
        spread,
        row.pairs or "",
        "; ".join(part for part in (verdict, row.note) if part),
    ).rstrip()


def _platform() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "trio": trio.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
    }


if __name__ == "__main__":
    sys.exit(main())

"""``python -m tests.testing.determinism``: do the traces look the same here?"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import platform
import sys
import time

import trio

from .outside import OUTSIDE
from .recording import DIGESTS, digests, exact_replays
from .scenarios import PROGRAMS


def main() -> int:
    """Compare, or replay; the exit status says whether all was the same."""
    parser = argparse.ArgumentParser(prog="python -m tests.testing.determinism")
    parser.add_argument("--replays", type=int, metavar="N", help="record and replay N schedules")
    parser.add_argument("--outside", type=int, metavar="N", help="N with processes, N with threads")
    parser.add_argument("--print", action="store_true", help="print the lines of digests.txt")
    options = parser.parse_args()
    where = f"Python {platform.python_version()}, Trio {trio.__version__}"
    if options.replays or options.outside:
        count = options.replays or options.outside * len(OUTSIDE)
        begun = time.perf_counter()
        exact = exact_replays(OUTSIDE if options.outside else PROGRAMS, count)
        seconds = time.perf_counter() - begun
        print(f"{where}: {exact} of {count} replays are exact, {seconds:.1f} s")
        return int(exact != count)
    lines = list(digests())
    if options.print:
        print("\n".join(lines))
        return 0
    wrong = [line for line in lines if line not in DIGESTS.read_text().splitlines()]
    print(f"{where}: {len(lines) - len(wrong)} of {len(lines)} digests are the same")
    print("\n".join(wrong), end="\n" if wrong else "")
    return int(bool(wrong))


sys.exit(main())

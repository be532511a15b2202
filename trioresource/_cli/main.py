"""The entry point of the command ``trioresource``.

This module imports nothing but the standard library, so that ``--version`` answers at once
and a missing package is reported in one line.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from .exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Sequence


_UNWRITABLE: Final = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""Errors of a standard output that takes nothing more; any other error is a bug."""
_NEEDED: Final = ("cyclopts", "rich")
"""What ``trioresource[cli]`` installs; any other module that is missing is a bug."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: the words after the name of the command; by default those of the process.

    Returns:
        The exit status, one of ``ExitStatus``.
    """
    _prepare_streams()
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        status = _print_version() if arguments == ["--version"] else _call(arguments)
        # Flush here: an error that comes when the interpreter exits cannot be caught.
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return ExitStatus.INTERRUPTED
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        # The reader of the output has gone, as in `trioresource types | head -1`: say nothing.
        if not isinstance(error, BrokenPipeError):
            print(f"trioresource: cannot write: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.FAILED
    return status


def _call(arguments: Sequence[str]) -> int:
    try:
        from .app import call

        return call(arguments)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _NEEDED:
            raise
        print(
            f"trioresource: the command line needs {package}: pip install 'trioresource[cli]'",
            file=sys.stderr,
        )
        return ExitStatus.NOT_INSTALLED


def _print_version() -> int:
    from .version import installed_version

    print(installed_version())
    return ExitStatus.OK


def _prepare_streams() -> None:
    """Have streams that take any text, also where the caller has closed them (``>&-``)."""
    sys.stdout = sys.stdout or _null()
    sys.stderr = sys.stderr or _null()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _null() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")

"""Where the command ``trioresource`` begins: what it needs, and how it ends."""

from __future__ import annotations

import enum
import errno
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence


_UNWRITABLE: Final = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO)


class ExitStatus(enum.IntEnum):
    """What the command tells whoever called it."""

    OK = 0
    """Everything ended in good order."""
    FAILED = 1
    """Something that should have been online was not, or did not go down in good order."""
    USAGE = 2
    """The command was not understood."""
    CLUSTER_FILE = 3
    """The cluster file can not be read or has mistakes; nothing was started."""
    NOT_INSTALLED = 4
    """The packages of the command line are not installed."""
    INTERRUPTED = 130
    """Ctrl-C, where there was nothing to take down."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: what follows the name of the command; by default that of the process.

    Returns:
        The exit status, one of ``ExitStatus``.
    """
    _prepare_streams()
    try:
        from .app import call
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == __name__.partition(".")[0]:
            raise
        print(
            f"trioresource: the command line needs {error.name}: pip install 'trioresource[cli]'",
            file=sys.stderr,
        )
        return ExitStatus.NOT_INSTALLED
    try:
        status = call(sys.argv[1:] if arguments is None else arguments)
        # Here, where it can be caught, and not when the interpreter ends.
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return ExitStatus.INTERRUPTED
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        # Whoever read the output has gone, as in `trioresource types | head -1`.
        if not isinstance(error, BrokenPipeError):
            print(f"trioresource: can not write: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.FAILED
    return status


def _prepare_streams() -> None:
    """Have streams that take any text, also where the caller has closed them (``>&-``)."""
    sys.stdout = sys.stdout or _null()
    sys.stderr = sys.stderr or _null()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _null() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")

"""Where the command ``trioresource`` begins: what it needs, and how it ends."""

from __future__ import annotations

import enum
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    except BrokenPipeError:
        # Whoever read the output has gone, as in `trioresource types | head -1`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.FAILED
    return status

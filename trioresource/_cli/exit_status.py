"""The exit statuses of the command ``trioresource``."""

from __future__ import annotations

import enum


class ExitStatus(enum.IntEnum):
    """How a command ended, for the program that called it."""

    OK = 0
    """Everything ended in good order."""
    FAILED = 1
    """A resource was not online that should have been, or did not go offline in good order."""
    USAGE = 2
    """The command line was not understood."""
    CLUSTER_FILE = 3
    """The cluster file cannot be read or has mistakes; nothing was started."""
    NOT_INSTALLED = 4
    """The packages of the command line are not installed."""
    INTERRUPTED = 130
    """Interrupted by Ctrl-C before anything was started."""

"""The commands and their options.

Each command imports its own module when it is called, so that ``trioresource --help`` loads
no engine.
"""

from __future__ import annotations

import math
from pathlib import Path  # noqa: TC003 - cyclopts reads annotations
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from .exit_status import ExitStatus
from .version import installed_version

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXIT_STATUS = """
Exit status:

* 0: everything ended in good order
* 1: a resource was not online that should have been, or did not go offline in good order
* 2: the command line was not understood
* 3: the cluster file cannot be read or has mistakes; nothing was started
* 4: a package that the command line needs is not installed
* 130: interrupted by Ctrl-C before anything was started
"""


app: App = App(
    name="trioresource",
    help="Run resources as a failover cluster does: bring them up, watch them, restart them.",
    help_epilogue=_EXIT_STATUS,
    help_format="markdown",
    version=installed_version,
    result_action="return_value",
    exit_on_error=False,
    suppress_keyboard_interrupt=False,
)

_Flag = Annotated[bool, Parameter(negative=())]


def _positive(_: Any, seconds: float | None) -> None:
    if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
        raise ValueError("must be a number of seconds greater than 0")


@app.command
def run(
    file: Path,
    /,
    *,
    for_: Annotated[
        float | None,
        Parameter(name="--for", validator=_positive, show_default=False),
    ] = None,
    plain: _Flag = False,
    json: _Flag = False,
) -> int:
    """Run a cluster file in the foreground, until SIGINT, SIGTERM or SIGHUP.

    Resources with autostart come online, providers first; at the end all go offline,
    dependents first. A second signal terminates at once what is still running. On a
    terminal a table shows every resource; elsewhere each event is one line. Modules of
    resource types are looked for in the directory of the file first. Under systemd
    (`NOTIFY_SOCKET`) it sends READY=1, STATUS= and STOPPING=1.

    Args:
        file: The cluster file.
        for_: End after this many seconds. A resource that is still coming online then
            counts as not online.
        plain: Show each event as one line, also on a terminal.
        json: Show each event as one JSON object; docs/command-line.md lists the keys.
    """
    if plain and json:
        return _refuse("give --plain or --json, not both")
    from .run import Mode, run_file

    mode = Mode.JSON if json else Mode.PLAIN if plain else Mode.AUTOMATIC
    return run_file(file, seconds=for_, mode=mode)


@app.command
def check(file: Path, /, *, json: _Flag = False) -> int:
    """Check a cluster file: list every mistake, or the order of coming online.

    Modules of resource types are looked for in the directory of the file first; they are
    imported.

    Args:
        file: The cluster file.
        json: Show one JSON object.
    """
    from .check import check_file

    return check_file(file, json=json)


@app.command
def types(*, json: _Flag = False) -> int:
    """List the resource types that are installed.

    Args:
        json: Show one JSON object for each type.
    """
    from .resource_types import list_types

    return list_types(json=json)


@app.command
def describe(kind: Annotated[str, Parameter(name="TYPE")], /, *, json: _Flag = False) -> int:
    """Describe a resource type: its properties, deadlines and polls.

    Args:
        kind: A type that `trioresource types` lists, or package.module:Class, looked for
            in the current directory first.
        json: Show one JSON object.
    """
    from .resource_types import describe_type

    return describe_type(kind, json=json)


@app.command(name="test-handler")
def check_conformance(
    kind: Annotated[str, Parameter(name="TYPE")],
    /,
    *,
    property_: Annotated[
        list[str] | None, Parameter(name="--property", negative=(), show_default=False)
    ] = None,
    skip: Annotated[list[str] | None, Parameter(negative=(), show_default=False)] = None,
    check: Annotated[list[str] | None, Parameter(negative=(), show_default=False)] = None,
    schedules: Annotated[int | None, Parameter(show_default=False)] = None,
    schedule: Annotated[str | None, Parameter(show_default=False)] = None,
    real: _Flag = False,
    json: _Flag = False,
) -> int:
    """Check whether a handler keeps the contract of the lifecycle.

    A resource monitor runs the handler through many schedules; docs/conformance.md lists
    the checks. The exit status is 1 if a check failed.

    Args:
        kind: A type that `trioresource types` lists, or package.module:Class, looked for
            in the current directory first.
        property_: NAME=VALUE, a property with which the handler can come online. The value
            is JSON; what is not JSON is text. May be repeated.
        skip: ID=REASON, a check to leave out, and why. May be repeated.
        check: ID of a check to run, instead of all. May be repeated.
        schedules: The number of schedules for each check; 40 by default, 3 with --real.
        schedule: The token of a failed schedule, to run it again; needs --check.
        real: The handler has real processes, threads or connections, so that each schedule
            takes real time.
        json: Show one JSON object.
    """
    try:
        from .conformance import conformance
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == __name__.partition(".")[0]:
            raise
        return _refuse(f"this needs {error.name}: pip install 'trioresource[testing]'")
    return conformance(
        kind,
        properties=property_ or [],
        skip=skip or [],
        only=check or [],
        real=real,
        schedules=schedules,
        replay=schedule,
        json=json,
    )


def _refuse(why: str) -> int:
    app.error_console.print(f"trioresource: {why}", highlight=False, markup=False)
    return ExitStatus.USAGE


def call(arguments: Sequence[str]) -> int:
    """Carry out one command.

    Args:
        arguments: the words after the name of the command.

    Returns:
        The exit status.
    """
    try:
        status = app(list(arguments))
    except CycloptsError:
        # cyclopts has printed it.
        return ExitStatus.USAGE
    if not arguments:
        # cyclopts has printed the help instead.
        return ExitStatus.USAGE
    return status if isinstance(status, int) else ExitStatus.OK

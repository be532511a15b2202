"""The commands and their options."""

from __future__ import annotations

import math
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path  # noqa: TC003 - cyclopts reads annotations
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from .check import check_file
from .main import ExitStatus
from .resource_types import describe_type, list_types
from .run import Mode, run_file

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXIT_STATUS = """
Exit status:

* 0: all ended in good order
* 1: something that should have been online was not, or did not go offline in good order
* 2: the command was not understood
* 3: the cluster file can not be read or has mistakes; nothing was started
* 4: a package is missing that the command line needs
* 130: interrupted before anything was started
"""


def _version() -> str:
    try:
        return version("trioresource")
    except PackageNotFoundError:
        return "unknown: trioresource is not installed"


app: App = App(
    name="trioresource",
    help="Runs resources as a failover cluster does: brought up, watched, restarted in order.",
    help_epilogue=_EXIT_STATUS,
    help_format="markdown",
    version=_version,
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

    What has autostart comes online, providers first; at the end everything goes offline,
    dependents first. A second signal terminates what is still there at once. On a
    terminal a table shows what is; elsewhere there is one line for each event. The
    directory of the file comes first in the search for the modules of resource types.
    Under systemd (`NOTIFY_SOCKET`) it says READY=1, STATUS= and STOPPING=1.

    Args:
        file: The cluster file.
        for_: End after so many seconds. What is still coming online then counts as not
            online.
        plain: Show one line for each event, also on a terminal.
        json: Show one JSON object for each event; docs/command-line.md has the keys.
    """
    if plain and json:
        return _refuse("give --plain or --json, not both")
    mode = Mode.JSON if json else Mode.PLAIN if plain else Mode.AUTOMATIC
    return run_file(file, seconds=for_, mode=mode)


@app.command
def check(file: Path, /, *, json: _Flag = False) -> int:
    """Check a cluster file: every mistake, or the order of coming online.

    The directory of the file comes first in the search for the modules of resource
    types; those modules are imported.

    Args:
        file: The cluster file.
        json: Show one JSON object.
    """
    return check_file(file, json=json)


@app.command
def types(*, json: _Flag = False) -> int:
    """List the resource types that are installed.

    Args:
        json: Show one JSON object for each type.
    """
    return list_types(json=json)


@app.command
def describe(kind: Annotated[str, Parameter(name="TYPE")], /, *, json: _Flag = False) -> int:
    """Show what there is to know of a resource type.

    Args:
        kind: A type of the list that `trioresource types` shows, or package.module:Class,
            looked for in the current directory first.
        json: Show one JSON object.
    """
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

    It is hosted in a resource monitor and put through many schedules; docs/conformance.md
    lists the checks. The exit status is 1 if one of them failed.

    Args:
        kind: A type of the list that `trioresource types` shows, or package.module:Class,
            looked for in the current directory first.
        property_: NAME=VALUE, a property with which it can come online; the value is JSON,
            or else text. May be repeated.
        skip: ID=REASON, a check that is not to run, and why. May be repeated.
        check: ID of a check to run, instead of all. May be repeated.
        schedules: How many for each check; 40 by default, 3 with --real.
        schedule: The token of a failed schedule, to run it again; together with --check.
        real: It has real processes, threads or connections, so that each schedule takes
            real time.
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
        arguments: what follows the name of the command.

    Returns:
        The exit status.
    """
    try:
        status = app(list(arguments))
    except CycloptsError:
        # It has been printed.
        return ExitStatus.USAGE
    if not arguments:
        # What was printed instead is the help.
        return ExitStatus.USAGE
    return status if isinstance(status, int) else ExitStatus.OK

"""The resource type ``process``: a program that is run, watched and stopped."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, final

import attrs
import trio
from pydantic import AfterValidator, BeforeValidator, Field

from .._errors import InvalidStateError, OfflineFailed, OnlineFailed
from .._handler import ResourceHandler, resource_type
from .._model.properties import Properties, dynamic
from . import _probes as checks
from ._probes import Seconds
from ._process.child import running
from ._process.launch import Launch
from ._process.notify import NotifySocket
from ._process.output import Output, open_output
from ._process.readiness import (
    Command,
    FilePath,
    LogReady,
    NotifyReady,
    Polled,
    Readiness,
    Variable,
    Word,
    no_null,
)
from ._process.supervision import Run

if TYPE_CHECKING:
    from .._handler import OnlineScope


def _no_null_in_name(value: int | str) -> int | str:
    return no_null(value) if isinstance(value, str) else value


Account = Annotated[
    Annotated[int, Field(strict=True, ge=0, lt=2**32 - 1)] | Annotated[str, Field(min_length=1)],
    AfterValidator(_no_null_in_name),
]
"""The number or the name of a user or a group."""


def signal_number(value: object) -> signal.Signals:
    """The signal of a name like ``TERM`` or ``SIGTERM``, or of a number.

    Raises:
        ValueError: there is none.
    """
    try:
        if isinstance(value, str) and not value.isdecimal():
            return signal.Signals["SIG" + value.upper().removeprefix("SIG")]
        if isinstance(value, int | str) and not isinstance(value, bool):
            return signal.Signals(int(value))
    except (KeyError, ValueError):
        pass
    raise ValueError(f"must be the name of a signal, such as TERM or HUP, not {value!r}")


def _signal_name(value: object) -> str:
    return signal_number(value).name.removeprefix("SIG")


class ProcessProperties(Properties):
    """What a process is run with, how it becomes ready, and how it is stopped."""

    command: Command
    """The program and its arguments: a list, or a string split as a shell would. No
    shell is involved. The program must stay in the foreground."""
    environment: Mapping[Variable, Word] = Field(default_factory=dict)
    """Variables to set."""
    inherit_environment: bool = True
    """Whether the other variables are those of this program, or there are none."""
    directory: FilePath | None = None
    """Where to run it; by default where this program runs."""
    user: Account | None = None
    """Name or number of the user to run it as, with all groups of that user, and HOME,
    USER and LOGNAME set; needs root."""
    group: Account | None = None
    """Name or number of the group to run it as; by default the user's."""
    ready: Readiness | None = None
    """How it is known to be operational; by default it is when it has been started.
    Where this can be asked for again (tcp, http, unix, command), ``is_alive`` does."""
    settle: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Seconds that it must go on running after it is ready, before it is online."""
    watchdog: Seconds | None = None
    """Seconds within which it must send ``WATCHDOG=1``, again and again."""
    stop_signal: Annotated[str, BeforeValidator(_signal_name)] = "TERM"
    """What asks its process group to stop."""
    stop_grace: Annotated[float, Field(ge=0, allow_inf_nan=False), dynamic] = 10.0
    """Seconds after which what has not stopped is killed; with 0 it is not even asked."""
    log_file: FilePath | None = None
    """A file to which all that it writes is appended."""
    log_lines: Annotated[int, Field(ge=1, le=100_000)] = 200
    """How many of the last lines it wrote are kept in memory."""


@final
@attrs.frozen
class RunningProcess:
    """What a process resource provides."""

    pid: int
    """The id of the process, of its process group and of its session."""
    _output: Output = attrs.field(repr=False, eq=False)

    def output(self) -> tuple[str, ...]:
        """The last lines that it wrote, the oldest first."""
        return self._output.lines()


@resource_type("process", trust_signals=True)
class Process(ResourceHandler[ProcessProperties]):
    """A program in a session of its own.

    It fails as soon as it exits, whatever its exit status: nobody asked it to. When it
    has gone offline or was terminated, nothing of its session is left, its orphaned
    grandchildren included; only a program that calls ``setsid`` leaves its session.

    Control codes: ``signal`` with the name of a signal sends it to the process; ``log``
    answers with the last lines, or with as many as its argument says.
    """

    def __init__(self) -> None:
        self._run: Run | None = None

    async def online(self, scope: OnlineScope) -> RunningProcess:
        """Start the program, and wait until it is ready.

        Raises:
            OnlineFailed: it could not be started, or ended before it was ready.
        """
        if self._run is not None:
            # It would not end when it was killed; two of them must never run.
            await self._run.child.destroy()
        properties = self.properties
        output = await scope.enter(
            open_output(self.log, size=properties.log_lines, file=properties.log_file)
        )
        scope.start_soon(output.pump, name="output")
        launch, socket = _launch(properties), None
        if properties.watchdog is not None or isinstance(properties.ready, NotifyReady):
            socket = await scope.enter(NotifySocket())
            launch = _with_socket(launch, socket, properties.watchdog)
        ready = trio.Event()
        if isinstance(properties.ready, LogReady):
            ready = output.expect(properties.ready.pattern)
        child = await scope.enter(running(launch, output.inlet))
        output.close_inlet()
        run = self._run = Run(scope, launch, child, output, ready, properties.watchdog)
        scope.start_soon(run.watch_exit, name="exit")
        if socket is not None:
            run.keep_pending()
            scope.start_soon(run.watch_pings, name="watchdog")
            scope.start_soon(socket.run, child.pid, run.listen, name="notifications")
        with run.starting:
            await self._until_ready(run)
            await trio.sleep(properties.settle)
        if (exit_ := child.ended()) is not None:
            raise OnlineFailed(run.describe_exit(f"{exit_} before it was ready"))
        run.came_up()
        return RunningProcess(child.pid, output)

    async def _until_ready(self, run: Run) -> None:
        ready = self.properties.ready
        if isinstance(ready, Polled):
            await checks.until_well(
                lambda: ready.probe(run.launch, self.log),
                every=lambda: ready.every,
                report=run.scope.report_progress,
            )
        elif ready is not None:
            await run.ready.wait()

    async def offline(self, scope: OnlineScope) -> None:
        """Ask the program to stop; after the grace, kill what is left."""
        run = self._run
        assert run is not None
        grace = self.properties.stop_grace
        run.begin_stop(grace)
        with run.grace:
            await run.child.stop(signal_number(self.properties.stop_signal))
        if run.grace.cancelled_caught:
            self.log.warning("did not stop within %g s and is killed", grace)
        await run.child.destroy()

    async def terminate(self) -> None:
        """Kill what is left; leaving the scope has done so already, if it could be done.

        It returns when nothing is left. As long as there is something that does not go
        although it was killed, or that can not be ruled out, the resource is stuck, and
        the log says why.
        """
        while self._run is not None and not self._run.child.gone:
            try:
                await self._run.child.destroy()
            except OfflineFailed as error:
                self.log.error("%s", error)

    async def is_alive(self) -> bool:
        """Whether it runs, and is well where its readiness can be asked for."""
        run, ready = self._run, self.properties.ready
        if run is None or run.child.ended() is not None:
            return False
        if not isinstance(ready, Polled):
            return True
        trouble = await ready.probe(run.launch, self.log)
        if trouble:
            self.log.warning("is not well: %s", trouble)
        return not trouble

    async def control(self, code: str, argument: Any = None) -> Any:
        """Carry out ``signal`` or ``log``.

        Raises:
            InvalidStateError: ``signal``, and there is no process.
            UnknownControlCode: it is another code.
            ValueError: the argument is none for this code.
        """
        run = self._run
        if code == "signal":
            number = signal_number(argument)
            if run is None or run.child.gone:
                raise InvalidStateError(f"{self.name}: there is no process to send a signal to")
            run.child.send(number)
            return None
        if code == "log":
            lines = [] if run is None else list(run.output.lines())
            if argument is None:
                return lines
            if not isinstance(argument, int) or argument < 1:
                raise ValueError(f"log: how many lines? A number from 1 up, not {argument!r}")
            return lines[-argument:]
        return await super().control(code, argument)


def _launch(properties: ProcessProperties) -> Launch:
    return Launch(
        command=properties.command,
        environment=properties.environment,
        inherit_environment=properties.inherit_environment,
        directory=properties.directory,
        user=properties.user,
        group=properties.group,
    )


def _with_socket(launch: Launch, socket: NotifySocket, watchdog: float | None) -> Launch:
    variables = {"NOTIFY_SOCKET": socket.address}
    if watchdog is not None:
        variables["WATCHDOG_USEC"] = str(round(watchdog * 1e6))
    return attrs.evolve(launch, environment={**launch.environment, **variables})

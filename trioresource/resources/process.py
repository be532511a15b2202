"""The resource type ``process``: run a program, watch it and stop it."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, final

import attrs
import trio
from pydantic import AfterValidator, BeforeValidator, Field

from .._errors import InvalidStateError, OfflineFailed, OnlineFailed
from .._handler import ResourceHandler, resource_type
from .._model.properties import Properties, dynamic
from ._probes import Seconds, until_well
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
    probe,
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
    """Find a signal by a name like ``TERM`` or ``SIGTERM``, or by its number.

    Raises:
        ValueError: there is no such signal.
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
    """What to run, how it becomes ready, and how to stop it."""

    command: Command
    """The program and its arguments: a list, or a string that is split as a shell would
    split it. No shell runs. The program must stay in the foreground."""
    environment: Mapping[Variable, Word] = Field(default_factory=dict)
    """Variables to set."""
    inherit_environment: bool = True
    """Whether the process also gets the variables of this program."""
    directory: FilePath | None = None
    """The directory to run it in; by default that of this program."""
    user: Account | None = None
    """Name or number of the user to run it as. The process gets all groups of that user,
    and HOME, USER and LOGNAME are set. Needs root."""
    group: Account | None = None
    """Name or number of the group to run it as; by default the group of ``user``."""
    ready: Readiness | None = None
    """How to know that the process is operational; by default it is as soon as it runs.
    ``is_alive`` repeats what can be repeated: tcp, http, unix and command."""
    settle: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Seconds that the process must keep running after it is ready, before the resource is
    online."""
    watchdog: Seconds | None = None
    """Longest time in seconds from one ``WATCHDOG=1`` of the process to the next."""
    stop_signal: Annotated[str, BeforeValidator(_signal_name)] = "TERM"
    """The signal that asks the process group to stop."""
    stop_grace: Annotated[float, Field(ge=0, allow_inf_nan=False), dynamic] = 10.0
    """Seconds to stop before it is killed; 0 kills it at once, without ``stop_signal``."""
    log_file: FilePath | None = None
    """A file to append the output to."""
    log_lines: Annotated[int, Field(ge=1, le=100_000)] = 200
    """How many of the last lines of output to keep in memory."""


class RunningProcess(ABC):
    """What a process resource provides; made by trioresource."""

    __slots__ = ()

    @property
    @abstractmethod
    def pid(self) -> int:
        """The id of the process, of its process group and of its session."""

    @abstractmethod
    def output(self) -> tuple[str, ...]:
        """Return the last lines of output, the oldest first."""


@final
class _RunningProcess(RunningProcess):
    __slots__ = ("_output", "_pid")

    def __init__(self, pid: int, output: Output) -> None:
        self._pid = pid
        self._output = output

    def __repr__(self) -> str:
        return f"RunningProcess(pid={self._pid})"

    @property
    def pid(self) -> int:
        return self._pid

    def output(self) -> tuple[str, ...]:
        return self._output.lines()


@resource_type("process", trust_signals=True)
class Process(ResourceHandler[ProcessProperties]):
    """A program in a session of its own.

    The resource fails as soon as the program exits, whatever the exit status. After
    offline or terminate no process of the session is left, orphaned grandchildren
    included. A program that calls ``setsid`` leaves the session and is not ended.

    Control codes: ``signal`` sends the signal that its argument names to the process.
    ``log`` returns the last lines of output, or as many as its argument says.
    """

    def __init__(self) -> None:
        self._run: Run | None = None

    async def online(self, scope: OnlineScope) -> RunningProcess:
        """Start the program, and wait until it is ready.

        Raises:
            OnlineFailed: the program could not be started, or ended before it was ready.
        """
        if self._run is not None:
            # It may have survived being killed, and two of them must never run.
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
        return _RunningProcess(child.pid, output)

    async def _until_ready(self, run: Run) -> None:
        ready = self.properties.ready
        if isinstance(ready, Polled):
            await until_well(
                lambda: probe(ready, run.launch, self.log),
                every=lambda: ready.every,
                report=run.scope.report_progress,
            )
        elif ready is not None:
            await run.ready.wait()

    async def offline(self, scope: OnlineScope) -> None:
        """Ask the program to stop; kill what is left after ``stop_grace``."""
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
        """Kill what is left, and return when no process of the session is left.

        Usually nothing is: leaving the scope has killed it. Where a process survives the
        kill, or where that cannot be ruled out, this does not return: the resource is
        stuck, and the log says why.
        """
        while self._run is not None and not self._run.child.gone:
            try:
                await self._run.child.destroy()
            except OfflineFailed as error:
                self.log.error("%s", error)

    async def is_alive(self) -> bool:
        """Whether the program runs, and passes the probe of ``ready`` if there is one."""
        run, ready = self._run, self.properties.ready
        if run is None or run.child.ended() is not None:
            return False
        if not isinstance(ready, Polled):
            return True
        trouble = await probe(ready, run.launch, self.log)
        if trouble:
            self.log.warning("is not well: %s", trouble)
        return not trouble

    async def control(self, code: str, argument: Any = None) -> Any:
        """Carry out ``signal`` or ``log``.

        Raises:
            InvalidStateError: ``signal`` was sent, and there is no process.
            UnknownControlCode: there is no such code.
            ValueError: the argument does not fit the code.
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
                raise ValueError(f"log: the number of lines must be 1 or more, not {argument!r}")
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

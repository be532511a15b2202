"""The ways to know that a process has become operational."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import attrs
import trio
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)

from .. import _probes
from .._probes import Address, Headers, HttpRequest, Regex, Seconds, Status, Url
from .child import running
from .output import open_output

if TYPE_CHECKING:
    import logging

    from .launch import Launch


def split_command(value: object) -> object:
    """Split a command that is one string as a shell would split it.

    Raises:
        ValueError: a quotation mark is not closed.
    """
    if not isinstance(value, str):
        return value
    try:
        return tuple(shlex.split(value))
    except ValueError as error:
        raise ValueError(f"cannot be split like a shell command: {error}") from None


def no_null(value: str) -> str:
    """Refuse text that the operating system does not take.

    Raises:
        ValueError: the text contains a null character.
    """
    if "\0" in value:
        raise ValueError("must not contain a null character")
    return value


def _is_variable(value: str) -> str:
    if not value or "=" in value:
        raise ValueError(f"must be the name of a variable, not {value!r}")
    return no_null(value)


Variable = Annotated[str, AfterValidator(_is_variable)]
"""The name of an environment variable."""
Word = Annotated[str, Field(coerce_numbers_to_str=True), AfterValidator(no_null)]
"""An argument or the value of a variable: text without null characters; a number becomes text."""
FilePath = Annotated[str, Field(min_length=1), AfterValidator(no_null)]
"""The path of a file or a directory."""
Command = Annotated[tuple[Word, ...], Field(min_length=1), BeforeValidator(split_command)]
"""A program and its arguments: a list, or one string that is split like a shell command."""


class _Readiness(BaseModel):
    """The configuration that all ways to become ready share."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )


class Polled(_Readiness):
    """A probe that can be repeated, so that it also tells whether the process is well."""

    every: Seconds = 0.1
    """Seconds between probes; the first ones are faster."""
    timeout: Seconds = 5.0
    """Seconds for one probe."""


class TcpReady(Polled):
    """Ready when it accepts connections at an address, ``host:port``."""

    tcp: Address


class UnixReady(Polled):
    """Ready when it accepts connections at a Unix socket."""

    unix: Annotated[str, Field(min_length=1, max_length=107)]


class HttpReady(Polled):
    """Ready when it answers a GET request."""

    http: Url
    status: Status = "200-399"
    body: Regex | None = None
    headers: Headers = Field(default_factory=dict)
    verify: bool = True


class CommandReady(Polled):
    """Ready when a command exits with status 0; it runs with the settings of the process."""

    command: Command


class LogReady(_Readiness):
    """Ready when it writes a line that a regular expression matches somewhere."""

    log: Regex

    @property
    def pattern(self) -> re.Pattern[str]:
        """The compiled regular expression."""
        return re.compile(self.log)


class NotifyReady(_Readiness):
    """Ready when it says ``READY=1`` by ``sd_notify``."""

    notify: Literal[True]


_KINDS = ("tcp", "http", "unix", "command", "log", "notify")


def _kind(value: Any) -> str | None:
    if isinstance(value, _Readiness):
        given = [kind for kind in _KINDS if kind in type(value).model_fields]
    else:
        given = [kind for kind in _KINDS if isinstance(value, Mapping) and kind in value]
    # The tags must differ from every key: the place in an error message drops what is no key.
    return f"by {given[0]}" if len(given) == 1 else None


Readiness = Annotated[
    Annotated[TcpReady, Tag("by tcp")]
    | Annotated[HttpReady, Tag("by http")]
    | Annotated[UnixReady, Tag("by unix")]
    | Annotated[CommandReady, Tag("by command")]
    | Annotated[LogReady, Tag("by log")]
    | Annotated[NotifyReady, Tag("by notify")],
    Discriminator(
        _kind,
        custom_error_type="readiness",
        custom_error_message=f"must be a table with exactly one of {', '.join(_KINDS)}",
    ),
]
"""One way to know that a process is ready: a table with exactly one of these keys."""


async def probe(ready: Polled, launch: Launch, log: logging.LoggerAdapter[logging.Logger]) -> str:
    """Probe a process once.

    Args:
        ready: the probe.
        launch: how the process was started.
        log: gets warnings about the output of a command.

    Returns:
        What is wrong, in words; an empty string if the process is well.
    """
    return await _probes.bounded(lambda: _probe(ready, launch, log), ready.timeout)


async def _probe(ready: Polled, launch: Launch, log: logging.LoggerAdapter[logging.Logger]) -> str:
    match ready:
        case TcpReady():
            return await _probes.probe_tcp(ready.tcp)
        case UnixReady():
            return await _probes.probe_unix(ready.unix)
        case HttpReady():
            return await _probes.probe_http(HttpRequest.to(ready.http, ready))
        case CommandReady():
            return await _run_command(attrs.evolve(launch, command=ready.command), log)
        case _:
            raise AssertionError(ready)


async def _run_command(launch: Launch, log: logging.LoggerAdapter[logging.Logger]) -> str:
    async with open_output(log, size=1) as output, running(launch, output.inlet) as child:
        output.close_inlet()
        async with trio.open_nursery() as nursery:
            # Empty the pipe: the command would block once the pipe is full.
            nursery.start_soon(output.pump)
            exit_ = await child.wait()
            nursery.cancel_scope.cancel()
        if exit_.status == 0:
            return ""
        output.take()
        return ": ".join((f"{launch.command[0]} {exit_}", *output.lines()))

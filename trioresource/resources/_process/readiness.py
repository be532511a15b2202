"""How it is known that a process has become operational."""

from __future__ import annotations

import re
import shlex
from abc import abstractmethod
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

from .. import _probes as checks
from .._probes import Address, Headers, HttpRequest, Regex, Seconds, Status, Url
from .child import running
from .output import open_output

if TYPE_CHECKING:
    import logging

    from .launch import Launch


def split_command(value: object) -> object:
    """Split a command that is one string as a shell would.

    Raises:
        ValueError: a quotation is not closed.
    """
    if not isinstance(value, str):
        return value
    try:
        return tuple(shlex.split(value))
    except ValueError as error:
        raise ValueError(f"can not be split like a shell command: {error}") from None


def no_null(value: str) -> str:
    """Refuse text that the system can not be given.

    Raises:
        ValueError: there is a null character in it.
    """
    if "\0" in value:
        raise ValueError("must not contain a null character")
    return value


def _is_variable(value: str) -> str:
    if not value or "=" in value:
        raise ValueError(f"is not the name of a variable: {value!r}")
    return no_null(value)


Variable = Annotated[str, AfterValidator(_is_variable)]
"""The name of an environment variable."""
Word = Annotated[str, Field(coerce_numbers_to_str=True), AfterValidator(no_null)]
"""An argument or a variable: text without null characters; a number is taken as text."""
FilePath = Annotated[str, Field(min_length=1), AfterValidator(no_null)]
"""The path of a file or a directory."""
Command = Annotated[tuple[Word, ...], Field(min_length=1), BeforeValidator(split_command)]
"""A program and its arguments: a list, or one string in the manner of a shell."""


class _Readiness(BaseModel):
    """What all ways to be ready share."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )


class Polled(_Readiness):
    """Readiness that can be asked for, and so also tells whether the process is well."""

    every: Seconds = 0.1
    """Seconds between probes; the first ones follow each other faster."""
    timeout: Seconds = 5.0
    """Seconds for one probe."""

    async def probe(self, launch: Launch, log: logging.LoggerAdapter[logging.Logger]) -> str:
        """What is wrong, in words; empty if the process is well."""
        return await checks.bounded(lambda: self._look(launch, log), self.timeout)

    @abstractmethod
    async def _look(self, launch: Launch, log: logging.LoggerAdapter[logging.Logger]) -> str: ...


class TcpReady(Polled):
    """It accepts connections at an address."""

    tcp: Address

    async def _look(self, launch: Launch, log: logging.LoggerAdapter[logging.Logger]) -> str:
        return await checks.probe_tcp(self.tcp)


class UnixReady(Polled):
    """It accepts connections at a Unix socket."""

    unix: Annotated[str, Field(min_length=1, max_length=107)]

    async def _look(self, launch: Launch, log: logging.LoggerAdapter[logging.Logger]) -> str:
        return await checks.probe_unix(self.unix)


class HttpReady(Polled):
    """It answers a GET request."""

    http: Url
    status: Status = "200-399"
    body: Regex | None = None
    headers: Headers = Field(default_factory=dict)
    verify: bool = True

    async def _look(self, launch: Launch, log: logging.LoggerAdapter[logging.Logger]) -> str:
        return await checks.probe_http(HttpRequest.to(self.http, self))


class CommandReady(Polled):
    """A command, run as the process itself is, exits with status 0."""

    command: Command

    async def _look(self, launch: Launch, log: logging.LoggerAdapter[logging.Logger]) -> str:
        launch = attrs.evolve(launch, command=self.command)
        async with open_output(log, size=1) as output, running(launch, output.inlet) as child:
            output.close_inlet()
            async with trio.open_nursery() as nursery:
                # A pipe that nobody empties holds up who writes much.
                nursery.start_soon(output.pump)
                exit_ = await child.wait()
                nursery.cancel_scope.cancel()
            if exit_.status == 0:
                return ""
            output.take()
            return ": ".join((f"{self.command[0]} {exit_}", *output.lines()))


class LogReady(_Readiness):
    """It writes a line in which a regular expression is found."""

    log: Regex

    @property
    def pattern(self) -> re.Pattern[str]:
        """The compiled expression."""
        return re.compile(self.log)


class NotifyReady(_Readiness):
    """It says ``READY=1`` in the manner of ``sd_notify``."""

    notify: Literal[True]


_KINDS = ("tcp", "http", "unix", "command", "log", "notify")


def _kind(value: Any) -> str | None:
    if isinstance(value, _Readiness):
        given = [kind for kind in _KINDS if kind in type(value).model_fields]
    else:
        given = [kind for kind in _KINDS if isinstance(value, Mapping) and kind in value]
    # A label that is no key, so that mistakes are shown at the right place.
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
"""One way to know that a process is ready: a table with exactly one of the names."""

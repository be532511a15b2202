"""Probe something from outside: does it accept connections, does it answer HTTP?

A probe returns what is wrong, in words, or an empty string if all is well.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from typing import Annotated, Final, Protocol, Self
from urllib.parse import urlsplit

import attrs
import h11
import trio
from pydantic import AfterValidator, BeforeValidator, Field

from .._util.external import external, in_thread

Probe = Callable[[], Awaitable[str]]

_MAX_BODY: Final = 1 << 20
"""Bytes of a body that are searched for the pattern; the rest is never read."""
_MAX_REPORTS: Final = 20
"""Reports of progress in one wait; without a bound a server that fails each time in another way
would keep the attempt pending for ever."""
_FIRST_PAUSE: Final = 0.001
"""Seconds to the second probe; a local server is often ready within milliseconds."""
_GROWTH: Final = 1.5
"""Factor from one pause between probes to the next."""
_PORTS: Final = range(1, 65536)
_STATUSES: Final = range(100, 600)
_TOKEN: Final = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
"""The name of a header (RFC 9110, 5.6.2)."""

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def split_address(value: str) -> tuple[str, int]:
    """Split ``host:port``; a host that contains colons must be in square brackets.

    Raises:
        ValueError: the value has another form.
    """
    host, _, port = value.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    number = int(port) if port.isdecimal() and port.isascii() else 0
    if not host.strip("[]") or number not in _PORTS or (":" in host and not bracketed):
        raise ValueError(
            "must be host:port with a port from 1 to 65535 (an IPv6 address in brackets),"
            f" not {value!r}"
        )
    return host.strip("[]"), number


def _check_address(value: str) -> str:
    split_address(value)
    return value


def _check_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"must be http://host... or https://host..., not {value!r}")
    _ = parts.port
    if " " in value:
        raise ValueError(f"must contain no spaces (write %20), not {value!r}")
    return _check_ascii(value)


def _check_ascii(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ValueError(f"must be printable ASCII, anything else percent-encoded, not {value!r}")
    return value


def _check_header(value: str) -> str:
    if not _TOKEN.fullmatch(value):
        raise ValueError(f"must be the name of a header, not {value!r}")
    return value


def _check_pattern(value: str) -> str:
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return value


def _status_ranges(value: str) -> list[range]:
    ranges = []
    for part in value.split(","):
        low, dash, high = part.strip().partition("-")
        if not (low.isdecimal() and (high.isdecimal() or not dash)):
            raise ValueError(f"must be a status like 200, or a range like 200-399, not {value!r}")
        first, last = int(low), int(high or low)
        if first not in _STATUSES or last not in _STATUSES or first > last:
            raise ValueError(
                f"must be from 100 to 599, the lower number first, not {part.strip()!r}"
            )
        ranges.append(range(first, last + 1))
    return ranges


def _check_status(value: object) -> str:
    parts = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(part, int | str) and not isinstance(part, bool) for part in parts):
        raise ValueError(f"must be a status like 200, or a range like 200-399, not {value!r}")
    text = ",".join(str(part) for part in parts)
    _status_ranges(text)
    return text


Address = Annotated[str, AfterValidator(_check_address)]
"""``host:port``."""
Url = Annotated[str, AfterValidator(_check_url)]
"""``http://`` or ``https://``."""
Headers = Mapping[
    Annotated[str, AfterValidator(_check_header)], Annotated[str, AfterValidator(_check_ascii)]
]
"""Headers of an HTTP request."""
Regex = Annotated[str, AfterValidator(_check_pattern)]
"""A regular expression that may match anywhere in the text."""
Status = Annotated[str, BeforeValidator(_check_status)]
"""The statuses of a good answer: a number, a range like ``"200-399"``, or a list of them."""


class HttpExpectation(Protocol):
    """What the properties of every HTTP probe contain; ``HttpRequest`` explains each."""

    @property
    def status(self) -> str: ...
    @property
    def body(self) -> str | None: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def verify(self) -> bool: ...


@attrs.frozen(kw_only=True)
class HttpRequest:
    """A GET request, and what its answer must be like."""

    url: str
    status: str
    body: str | None = None
    """A regular expression that the body must match somewhere."""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    verify: bool = True
    """Whether the certificate of an https server must be valid."""

    @classmethod
    def to(cls, url: str, given: HttpExpectation) -> Self:
        """Make the request that the properties of a resource describe."""
        return cls(
            url=url,
            status=given.status,
            body=given.body,
            headers=given.headers,
            verify=given.verify,
        )


async def probe_tcp(address: str) -> str:
    """Probe whether something accepts connections at ``host:port``."""
    host, port = split_address(address)
    try:
        stream = await external("connection", partial(trio.open_tcp_stream, host, port))
    except OSError as error:
        return f"tcp {address}: {reason(error)}"
    await trio.aclose_forcefully(stream)
    return ""


async def probe_unix(path: str) -> str:
    """Probe whether something accepts connections at a Unix socket."""
    try:
        stream = await external("connection", partial(trio.open_unix_socket, path))
    except OSError as error:
        return f"unix {path}: {reason(error)}"
    await trio.aclose_forcefully(stream)
    return ""


async def probe_http(request: HttpRequest) -> str:
    """Probe whether a server answers a GET request as expected; redirections are not followed."""
    try:
        trouble = await external("answer", partial(_exchange, request))
    except (OSError, trio.BrokenResourceError, h11.ProtocolError) as error:
        trouble = reason(error)
    return f"GET {request.url}: {trouble}" if trouble else ""


async def _exchange(request: HttpRequest) -> str:
    parts = urlsplit(request.url)
    assert parts.hostname is not None
    port = parts.port or (443 if parts.scheme == "https" else 80)
    context = None
    if parts.scheme == "https":
        # Before the stream is opened: cancellation of this wait would leave it open.
        context = await in_thread("certificates", _ssl_context, request.verify)
    stream: trio.abc.Stream = await trio.open_tcp_stream(parts.hostname, port)
    if context is not None:
        stream = trio.SSLStream(
            stream, context, server_hostname=parts.hostname, https_compatible=True
        )
    try:
        connection = h11.Connection(h11.CLIENT)
        headers = {
            "Host": parts.netloc.rpartition("@")[2],
            "Connection": "close",
            "User-Agent": "trioresource",
        }
        # Names of headers are compared without regard to case: send none of them twice.
        given = [name.lower() for name in request.headers]
        headers = {name: value for name, value in headers.items() if name.lower() not in given}
        head = h11.Request(
            method="GET",
            target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            headers=list({**headers, **request.headers}.items()),
        )
        await stream.send_all(connection.send(head) or b"")
        await stream.send_all(connection.send(h11.EndOfMessage()) or b"")
        return await _judge(request, stream, connection)
    finally:
        await trio.aclose_forcefully(stream)


async def _judge(request: HttpRequest, stream: trio.abc.Stream, connection: h11.Connection) -> str:
    body = b""
    while True:
        received = bytes(await stream.receive_some())
        if not received and connection.their_state is h11.SEND_RESPONSE:
            return "the connection was closed before an answer came"
        connection.receive_data(received)
        while (event := connection.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Response):
                code = event.status_code
                if not any(code in wanted for wanted in _status_ranges(request.status)):
                    return f"status {code} instead of {request.status}"
                if request.body is None:
                    return ""
            elif isinstance(event, h11.Data):
                body += event.data
            if isinstance(event, h11.EndOfMessage) or len(body) > _MAX_BODY:
                assert request.body is not None
                text = body.decode("utf-8", errors="replace")
                return "" if re.search(request.body, text) else f"no {request.body!r} in the answer"


@cache
def _ssl_context(verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def reason(error: BaseException) -> str:
    """Say why a connection failed, in the words of the operating system if it has any."""
    if isinstance(error, BaseExceptionGroup):
        reasons = [reason(leaf) for leaf in error.exceptions]
        return ", ".join(dict.fromkeys(reasons))
    if isinstance(error.__cause__, OSError | BaseExceptionGroup):
        return reason(error.__cause__)
    if isinstance(error, OSError):
        # strerror of an error that Trio raises begins with the address: take the plain words.
        own_number = isinstance(error, socket.gaierror | ssl.SSLError)
        words = None if own_number or error.errno is None else os.strerror(error.errno)
        return words or error.strerror or str(error) or type(error).__name__
    return str(error) or type(error).__name__


async def bounded(probe: Probe, seconds: float) -> str:
    """Run a probe; if it takes too long, return that as the trouble.

    Args:
        probe: the probe.
        seconds: how long it may take.
    """
    with trio.move_on_after(seconds):
        return await probe()
    return f"no answer within {seconds:g} s"


async def until_well(
    probe: Probe,
    *,
    every: Callable[[], float],
    report: Callable[[str], object],
) -> None:
    """Probe until all is well, at short intervals at first.

    Args:
        probe: the probe.
        every: returns the longest interval, in seconds.
        report: called with each trouble once. A new trouble is progress; the same trouble
            again is not, so that the pending deadline can end the wait.
    """
    pause, told = _FIRST_PAUSE, list[str]()
    while trouble := await probe():
        if trouble not in told and len(told) < _MAX_REPORTS:
            told.append(trouble)
            report(trouble)
        await trio.sleep(min(pause, every()))
        pause = min(pause * _GROWTH, every())

from __future__ import annotations

import contextlib
import itertools
import ssl
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio
from pydantic import TypeAdapter, ValidationError

from trioresource.resources import _probes as checks
from trioresource.resources._probes import HttpRequest, probe_http, probe_tcp, probe_unix

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


@pytest.fixture
def serve(nursery: trio.Nursery) -> Callable[[bytes], Awaitable[int]]:
    """Serves one answer, whatever is asked, and gives the port."""

    async def start(answer: bytes, context: ssl.SSLContext | None = None) -> int:
        async def handle(stream: trio.abc.Stream) -> None:
            if context is not None:
                stream = trio.SSLStream(stream, context, server_side=True)
            try:
                await stream.receive_some()
                await stream.send_all(answer)
                await trio.aclose_forcefully(stream)
            except trio.BrokenResourceError:
                pass

        listeners = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
        port: int = listeners[0].socket.getsockname()[1]
        return port

    return start


def http(port: int, **options: Any) -> HttpRequest:
    return HttpRequest(**{"url": f"http://127.0.0.1:{port}/x?y", "status": "200-399", **options})


@pytest.mark.parametrize(
    ("answer", "options", "trouble"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", {}, ""),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", {}, ""),
        (b"HTTP/1.1 503 Busy\r\n\r\n", {}, "status 503 instead of 200-399"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", {"status": "200,500-503"}, ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", {"body": "^ok$"}, ""),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
            {"body": "ok"},
            "no 'ok' in the answer",
        ),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * (2 << 20), {"body": "xx"}, ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", {"body": "ok"}, "peer closed"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", {}, "illegal status line"),
        (b"", {}, ""),
    ],
)
async def test_http(serve: Any, answer: bytes, options: dict[str, Any], trouble: str) -> None:
    port = await serve(answer)
    request = http(port, **options)
    found = await probe_http(request)
    if not answer:
        assert found.startswith(f"GET {request.url}: ")
    elif trouble:
        assert found.startswith(f"GET {request.url}: ")
        assert trouble in found
    else:
        assert found == ""


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 503 Busy\r\n\r\n", b"SSH-2.0-OpenSSH\r\n\r\n"], ids=["status", "protocol"]
)
async def test_http_connection_is_closed_when_the_answer_is_bad(
    nursery: trio.Nursery, answer: bytes
) -> None:
    """The server does not end it, so that only the probe can."""
    ended = trio.Event()

    async def handle(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)
        with contextlib.suppress(trio.BrokenResourceError):
            assert await stream.receive_some() == b""
        ended.set()

    listeners = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
    with trio.fail_after(5):
        assert await probe_http(http(listeners[0].socket.getsockname()[1])) != ""
        await ended.wait()


async def test_http_request_line_and_headers(nursery: trio.Nursery) -> None:
    asked: list[bytes] = []

    async def handle(stream: trio.abc.Stream) -> None:
        asked.append(bytes(await stream.receive_some()))
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")

    listeners = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
    port = listeners[0].socket.getsockname()[1]
    assert await probe_http(http(port, headers={"X-Token": "t", "Host": "shop"})) == ""
    head, *lines = asked[0].decode().split("\r\n")
    assert head == "GET /x?y HTTP/1.1"
    assert "Host: shop" in lines
    assert "X-Token: t" in lines


async def test_https(serve: Any, tmp_path: Path, require_program: Any) -> None:
    openssl = require_program("openssl")
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    command = (
        f"{openssl} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
        f" -subj /CN=localhost -keyout {key} -out {certificate}"
    )
    await trio.run_process(command, shell=True, capture_stderr=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    port = await serve(b"HTTP/1.1 200 OK\r\n\r\n", context)
    url = f"https://localhost:{port}"
    assert await probe_http(HttpRequest(url=url, status="200", verify=False)) == ""
    assert "certificate verify failed" in await probe_http(HttpRequest(url=url, status="200"))


async def test_nothing_listens(free_port: int, tmp_path: Path) -> None:
    refused = "Connection refused"
    address = f"127.0.0.1:{free_port}"
    assert await probe_tcp(address) == f"tcp {address}: {refused}"
    assert refused in await probe_tcp(f"localhost:{free_port}")
    assert await probe_http(http(free_port)) == f"GET http://{address}/x?y: {refused}"
    assert "No such file" in await probe_unix(str(tmp_path / "socket"))


async def test_no_answer_in_time(nursery: trio.Nursery, autojump_clock: object) -> None:
    assert await checks.bounded(partial(_never), 7.5) == "no answer within 7.5 s"


async def _never() -> str:
    await trio.sleep(1000)
    return ""


async def test_until_well_reports_each_trouble_once(autojump_clock: object) -> None:
    answers = ["refused"] * 20 + ["status 503"] * 3 + ["refused", ""]
    times: list[float] = []
    told: list[str] = []

    async def probe() -> str:
        await trio.lowlevel.checkpoint()
        times.append(trio.current_time())
        return answers[len(times) - 1]

    await checks.until_well(probe, every=lambda: 0.1, report=told.append)
    assert told == ["refused", "status 503"]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps[0] == pytest.approx(0.001)
    assert gaps[-1] == pytest.approx(0.1)
    assert gaps == sorted(gaps, key=lambda gap: round(gap, 6))


async def test_until_well_is_told_of_so_many_troubles_only(autojump_clock: object) -> None:
    answers = [f"at {number}" for number in range(50)] + [""]
    told: list[str] = []

    async def probe() -> str:
        await trio.lowlevel.checkpoint()
        return answers.pop(0)

    await checks.until_well(probe, every=lambda: 1, report=told.append)
    assert len(told) == 20


@pytest.mark.parametrize(
    ("kind", "value", "accepted"),
    [
        (checks.Address, "localhost:80", True),
        (checks.Address, "[::1]:80", True),
        (checks.Address, "::1:80", False),
        (checks.Address, "localhost", False),
        (checks.Address, ":80", False),
        (checks.Address, "localhost:0", False),
        (checks.Address, "localhost:65536", False),
        (checks.Address, "localhost:http", False),
        (checks.Url, "http://x", True),
        (checks.Url, "https://x:1/", True),
        (checks.Url, "ftp://x", False),
        (checks.Url, "http:///x", False),
        (checks.Url, "http://x:99999", False),
        (checks.Url, "http://x/ä", False),
        (checks.Url, "http://x/ y", False),
        (checks.Headers, {"X-Token": "t"}, True),
        (checks.Headers, {"X-Token": "ä"}, False),
        (checks.Headers, {"X\n": "t"}, False),
        (checks.Regex, "a+", True),
        (checks.Regex, "a(", False),
        (checks.Regex, "a{99999999999}", False),
        pytest.param(checks.Regex, "(" * 9999 + ")" * 9999, False, id="nested"),
        (checks.Status, 200, True),
        (checks.Status, [200, "300-399"], True),
        (checks.Status, "200 - 299", False),
        (checks.Status, 20, False),
        (checks.Status, "300-200", False),
        (checks.Status, True, False),
        (checks.Status, {}, False),
        (checks.Seconds, 0, False),
        (checks.Seconds, float("inf"), False),
    ],
)
def test_values(kind: Any, value: object, accepted: bool) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    if accepted:
        adapter.validate_python(value)
    else:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("x"), "x"),
        (trio.BrokenResourceError(), "BrokenResourceError"),
        (OSError(111, "Error connecting: refused"), "Connection refused"),
        (ExceptionGroup("g", [OSError("a"), OSError("b"), OSError("a")]), "a, b"),
    ],
)
def test_reasons(error: Exception, words: str) -> None:
    assert checks.reason(error) == words

"""Runs the examples for real, each in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import trio

from trioresource import Cluster, ResourceState, open_cluster
from trioresource.config import load_cluster_file
from trioresource.resources._probes import HttpRequest, probe_http, until_well

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).parent.parent.parent
EXAMPLES: Final = ROOT / "examples"

PRINTED: Final = {
    "handler.py": """\
echo is online, attempt 1
it answers b'hello'
echo is failed: failure asked for: the plug was pulled
echo is online, attempt 2
it answers b'hello again'
echo is offline
""",
    "anyio_handler.py": """\
my number is 7
my number is 8
my number is 9
counter is offline
""",
    "embedded_app.py": """\
server: listening
welcome Ada, you are guest number 1
welcome Grace, you are guest number 2
welcome Edsger, you are guest number 3
server: closing
database: closing
everything is {'offline'}
""",
}

LOGGED = {
    "handler.py": """\
echo failed: failure asked for: the plug was pulled
echo will be restarted in 0.5 s, after 1 failure
""",
}
"""What Python shows on standard error of a program that does not configure logging."""


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


@pytest.mark.parametrize("name", PRINTED)
def test_example_ends_by_itself(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, LOGGED.get(name, ""))
    assert done.stdout == PRINTED[name]


async def test_embedded_app_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    program = EXAMPLES / "embedded_app.py"
    command = [sys.executable, str(program), str(tmp_path / "guests.db"), "0"]
    async with trio.open_nursery() as nursery:
        run = partial(trio.run_process, command, stdout=subprocess.PIPE, env=environment())
        process = await nursery.start(run)
        listening = await read_line(process)
        port = int(listening.rpartition(" ")[2])
        for number in (1, 2):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(b"Ada\n")
                answer = await stream.receive_some()
                assert answer == f"welcome Ada, you are guest number {number}\n".encode()
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        rest = b"".join([bytes(part) async for part in process.stdout]).decode()
    assert process.returncode == 0
    assert rest == "server: closing\ndatabase: closing\neverything is {'offline'}\n"


async def read_line(process: trio.Process) -> str:
    assert process.stdout is not None
    line = b""
    while not line.endswith(b"\n"):
        part = await process.stdout.receive_some(1)
        assert part, f"the program ended after {line!r}"
        line += part
    return line.decode().rstrip()


@pytest.fixture
def web_stack(require_program: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs of the stack are found, and paths in the file are those of the repository."""
    directories = [str(Path(require_program(one)).parent) for one in ("redis-server", "nginx")]
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *directories])
    monkeypatch.setenv("PATH", path)
    monkeypatch.chdir(ROOT)


async def get(path: str, answer: str) -> str:
    """What is wrong with the answer of nginx; empty if it is as it should be."""
    url = f"http://127.0.0.1:8391{path}"
    return await probe_http(HttpRequest(url=url, status="200", body=answer))


@pytest.mark.alone
@pytest.mark.usefixtures("web_stack")
async def test_redis_and_nginx_stack() -> None:
    config = load_cluster_file("examples/redis_nginx.toml")
    async with open_cluster(shutdown_deadline=config.shutdown_deadline) as cluster:
        for name, one in config.resources.items():
            await cluster.add(
                name,
                one.handler,
                properties=one.properties,
                group=one.group,
                depends_on=one.depends_on,
                restart=one.restart,
                deadlines=one.deadlines,
                poll=one.poll,
            )
        await cluster.online()
        with trio.fail_after(30):
            await cluster.resource("nginx").wait_online()
        assert await get("/", "^visit 1$") == ""
        assert await get("/", "^visit 2$") == ""

        before = epochs(cluster)
        with trio.fail_after(30):
            os.kill(cluster.resource("redis").value.pid, signal.SIGKILL)
            await cluster.resource("redis").wait_state(ResourceState.FAILED)
            await cluster.resource("nginx").wait_online()
        # All three are new: Redis failed, and the two others depend on it.
        assert epochs(cluster) == {name: epoch + 1 for name, epoch in before.items()}
        assert await get("/", "^visit 1$") == ""
    assert {one.state for one in cluster.resources.values()} == {ResourceState.OFFLINE}


def epochs(cluster: Cluster) -> dict[str, int]:
    return {name: resource.epoch for name, resource in cluster.resources.items()}


@pytest.mark.alone
@pytest.mark.usefixtures("web_stack")
async def test_redis_and_nginx_stack_on_the_command_line() -> None:
    pytest.importorskip("trioresource._cli.main")
    command = [sys.executable, "-m", "trioresource", "run", "examples/redis_nginx.toml"]
    async with trio.open_nursery() as nursery:
        run = partial(trio.run_process, command, cwd=ROOT, capture_stdout=True, env=environment())
        process = await nursery.start(run)
        with trio.fail_after(60):
            await until_well(
                partial(get, "/", "^visit [0-9]+$"), every=lambda: 0.1, report=lambda _: None
            )
        process.send_signal(signal.SIGINT)
    assert re.search("Connection refused", await get("/", "visit"))

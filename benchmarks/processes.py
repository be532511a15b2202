"""From kill -9 to online again, for Redis and nginx, beyond what they take to start."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import trio

from benchmarks.measure import Row, row_of_differences
from trioresource import ResourceState, RestartPolicy, open_cluster
from trioresource.resources.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.measure import Effort, Pairs
    from trioresource import Resource

NAME = "restart"
TITLE = "from kill -9 to online again, less the program's own start"
BAR = 50.0

# Daemons live here, and not every user's PATH has them.
_SYSTEM_DIRECTORIES: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")


@attrs.frozen
class Program:
    """A daemon in a directory of its own."""

    command: list[str]
    ready: dict[str, Any]
    family: socket.AddressFamily
    address: str | tuple[str, int]


def run(effort: Effort) -> Iterator[Row]:
    """Each program that is installed."""
    preparations: dict[str, Callable[[str, Path], Program]] = {
        "redis-server": _redis,
        "nginx": _nginx,
    }
    for name, prepare in preparations.items():
        path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM_DIRECTORIES))
        found = shutil.which(name, path=path)
        if found is None:
            yield Row(benchmark=NAME, what=name, unit="ms", note="SKIPPED: it is not installed")
            continue
        with tempfile.TemporaryDirectory() as directory:
            program = prepare(found, Path(directory))
            pairs = trio.run(_restart, effort.pairs, program)
        yield row_of_differences(pairs, benchmark=NAME, what=name, bar=BAR)


def _redis(path: str, directory: Path) -> Program:
    address = str(directory / "redis.sock")
    command = [path, "--port", "0", "--unixsocket", address, "--dir", str(directory)]
    command += ["--save", "", "--appendonly", "no"]
    return Program(command, {"unix": address}, socket.AF_UNIX, address)


def _nginx(path: str, directory: Path) -> Program:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    configuration = f"""
        daemon off;
        worker_processes 1;
        pid {directory}/nginx.pid;
        error_log {directory}/error.log;
        events {{}}
        http {{
            access_log off;
            {" ".join(f"{kind}_temp_path {directory}/{kind};" for kind in kinds)}
            server {{ listen 127.0.0.1:{port}; return 204; }}
        }}
    """
    file = directory / "nginx.conf"
    file.write_text(configuration)
    command = [path, "-p", str(directory), "-c", str(file), "-e", f"{directory}/error.log"]
    ready = {"tcp": f"127.0.0.1:{port}"}
    return Program(command, ready, socket.AF_INET, ("127.0.0.1", port))


async def _restart(pairs: int, program: Program) -> Pairs:
    restart = RestartPolicy(delay=0, threshold=10_000)
    found: Pairs = []
    for _ in range(pairs + 1):
        # One at a time, for both want the same address.
        bare = await trio.to_thread.run_sync(_bare_start, program)
        async with open_cluster() as cluster:
            one = await cluster.add(
                "one",
                Process,
                properties={"command": program.command, "ready": program.ready},
                restart=restart,
            )
            await one.online()
            await one.wait_online()
            with trio.fail_after(30):
                found.append((await _time_recovery(one), bare))
            await one.terminate()
    # The first one was for nothing.
    return found[1:]


async def _time_recovery(one: Resource) -> float:
    begun = time.perf_counter()
    os.kill(one.value.pid, signal.SIGKILL)
    await one.wait_state(ResourceState.FAILED)
    await one.wait_state(ResourceState.ONLINE)
    taken = time.perf_counter() - begun
    assert one.epoch == 2
    return taken


def _bare_start(program: Program) -> float:
    begun = time.perf_counter()
    with _running(program.command):
        while not _answers(program):
            time.sleep(0.001)  # noqa: TID251 (in a thread)
        return time.perf_counter() - begun


@contextmanager
def _running(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(program: Program) -> bool:
    with socket.socket(program.family) as client:
        return client.connect_ex(program.address) == 0

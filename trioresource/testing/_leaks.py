"""What is left behind: tasks, processes, descriptors, threads, memory channels."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import trio

from ._scheduling.fake_process import living_fakes
from ._scheduling.findings import Leaked
from ._scheduling.running import current

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = ["TRIO_THREAD", "NoLeaks", "no_leaks"]

_DESCRIPTORS: Final = next(
    (path for path in map(Path, ("/proc/self/fd", "/dev/fd")) if path.is_dir()), None
)
_CHILDREN: Final = Path("/proc/self/task")
TRIO_THREAD: Final = "Trio"
"""How the threads that Trio keeps for the next call are named; they are nobody's. While one
runs a function, it is named for that."""

_SETTLING: Final = 60
"""Virtual seconds: no time passes for the scenario as long as this is waited for."""

_Channel = trio.MemorySendChannel[Any] | trio.MemoryReceiveChannel[Any]


def no_leaks() -> NoLeaks:
    """Check that a block leaves nothing behind.

    To be used as ``with no_leaks():`` or ``async with no_leaks():``; the latter first
    lets what ``external()`` waits for come to its end.

    Returns:
        The context manager. At its end it raises ``Leaked`` if there is a task, a child
        process, a ``FakeProcess``, a file descriptor, a thread or an open memory channel
        that was not there at its beginning; not so if the block raises by itself.

    Note:
        A bare ``open_monitor()`` leaves ``monitor.reports`` open, so that the last reports
        can be read. Close it, inside of this block::

            async with no_leaks():
                async with open_monitor() as monitor:
                    ...
                with monitor.reports:
                    last = [report async for report in monitor.reports]
    """
    return NoLeaks()


@final
class NoLeaks:
    """What ``no_leaks()`` returns."""

    def __init__(self) -> None:
        self._before: _Snapshot | None = None

    def __enter__(self) -> None:
        self._before = _Snapshot()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._before is not None
        if error is not None:
            return
        left = list(_Snapshot().since(self._before))
        if left:
            raise Leaked("left behind: " + "; ".join(left))

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        controller = current()
        if controller is not None and error is None:
            with trio.move_on_after(_SETTLING, shield=True):
                await controller.inbox.settle()
        self.__exit__(kind, error, traceback)


@final
class _Snapshot:
    """What there is at one moment. All are lists in a fixed order, or keyed by number."""

    def __init__(self) -> None:
        self._tasks = list(_tasks())
        self._fakes = [fake for fake in _fakes() if fake.returncode is None]
        self._children = _children()
        self._descriptors = _descriptors()
        self._threads = [t for t in threading.enumerate() if not t.name.startswith(TRIO_THREAD)]
        self._channels = list(_channels())

    def since(self, before: _Snapshot) -> Iterator[str]:
        """What is there and was not there before, in words."""
        yield from (f"task {t.name}" for t in self._tasks if t not in before._tasks)
        yield from (f"fake process {f.pid}" for f in self._fakes if f not in before._fakes)
        for child in self._children:
            if child not in before._children:
                yield f"process {child} ({_command(child)})"
        for number, target in self._descriptors.items():
            if before._descriptors.get(number) != target:
                yield f"descriptor {number} ({target})"
        yield from (f"thread {t.name}" for t in self._threads if t not in before._threads)
        # By identity: their equality is nobody's promise.
        old = list(map(id, before._channels))
        yield from (f"open {type(c).__name__}" for c in self._channels if id(c) not in old)


def _tasks() -> Iterator[trio.lowlevel.Task]:
    controller = current()
    if controller is not None:
        yield from controller.live
        return
    if not trio.lowlevel.in_trio_run():
        return
    root = trio.lowlevel.current_root_task()
    waiting = [] if root is None else [root]
    while waiting:
        task = waiting.pop()
        yield task
        for nursery in task.child_nurseries:
            waiting += sorted(nursery.child_tasks, key=lambda child: child.name)


def _fakes() -> list[Any]:
    return list(living_fakes()) if trio.lowlevel.in_trio_run() else []


def _children() -> list[int]:
    """The child processes of this program that have not been waited for."""
    found: list[int] = []
    if _CHILDREN.is_dir():
        for thread in sorted(_CHILDREN.iterdir()):
            try:
                found += map(int, (thread / "children").read_text().split())
            except OSError:
                continue
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip() or "ended"
    except OSError:
        return "ended"


def _descriptors() -> dict[int, str]:
    if _DESCRIPTORS is None:
        return {}
    found = {}
    for name in sorted(os.listdir(_DESCRIPTORS), key=int):  # noqa: PTH208
        try:
            found[int(name)] = os.readlink(_DESCRIPTORS / name)  # noqa: PTH115
        except OSError:
            # The one that was opened to read the directory.
            continue
    return found


def _channels() -> Iterator[_Channel]:
    """The open ends of memory channels.

    In an exploration no garbage is collected, so that whatever was made in this schedule
    is still in the youngest generation, and few other things are.
    """
    objects = gc.get_objects() if current() is None else gc.get_objects(generation=0)
    for each in objects:
        if type(each) in (trio.MemorySendChannel, trio.MemoryReceiveChannel) and _is_open(each):
            yield each


def _is_open(channel: _Channel) -> bool:
    try:
        channel.clone().close()
    except trio.ClosedResourceError:
        return False
    return True

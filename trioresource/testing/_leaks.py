"""Find what a block leaves behind: tasks, processes, descriptors, threads, memory channels."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import trio

from .._util.construction import NoPublicConstructor, construct
from ._scheduling.fake_process import running_fake_processes
from ._scheduling.findings import Leaked
from ._scheduling.running import current_controller

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from ._scheduling.fake_process import FakeProcess

_DESCRIPTORS: Final = next(
    (path for path in map(Path, ("/proc/self/fd", "/dev/fd")) if path.is_dir()), None
)
_CHILDREN: Final = Path("/proc/self/task")
TRIO_THREAD: Final = "Trio"
"""How the names begin of threads that Trio keeps for its next call, which belong to no block.
While such a thread runs a function, it has another name."""

_SETTLING: Final = 60
"""Virtual seconds. They pass only if the waits that were given up never end: while these go on,
no time passes for the scenario."""

_Channel = trio.MemorySendChannel[Any] | trio.MemoryReceiveChannel[Any]


def no_leaks() -> NoLeaks:
    """Check that a block leaves nothing behind.

    Use it as ``with no_leaks():`` or ``async with no_leaks():``. The second first waits for
    the end of what ``external()`` has given up.

    Returns:
        The context manager. At its end it raises ``Leaked`` if there is a task, a child
        process, a ``FakeProcess``, a file descriptor, a thread or an open memory channel
        that was not there at its beginning. If the block raises, it checks nothing.

    Note:
        ``open_monitor()`` leaves ``monitor.reports`` open, so that the last reports can be
        received. Close it inside of this block:

        ```python
        async with no_leaks():
            async with open_monitor() as monitor:
                ...
            with monitor.reports:
                last = [report async for report in monitor.reports]
        ```
    """
    return construct(NoLeaks)


@final
class NoLeaks(metaclass=NoPublicConstructor):
    """The context manager that ``no_leaks()`` returns."""

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
        controller = current_controller()
        if controller is not None and error is None:
            with trio.move_on_after(_SETTLING, shield=True):
                await controller.external_waits.settle()
        self.__exit__(kind, error, traceback)


@final
class _Snapshot:
    """What exists at one moment; all are lists in a fixed order, or keyed by number."""

    def __init__(self) -> None:
        self.tasks: Final = list(_tasks())
        self.fake_processes: Final = _fake_processes()
        self.children: Final = child_processes()
        self.descriptors: Final = _descriptors()
        self.threads: Final = [
            thread for thread in threading.enumerate() if not thread.name.startswith(TRIO_THREAD)
        ]
        self.channels: Final = list(_channels())

    def since(self, before: _Snapshot) -> Iterator[str]:
        """Yield what exists now and did not exist before, in words."""
        yield from (f"task {task.name}" for task in self.tasks if task not in before.tasks)
        for process in self.fake_processes:
            if process not in before.fake_processes:
                yield f"fake process {process.pid}"
        for child in self.children:
            if child not in before.children:
                yield f"process {child} ({_command(child)})"
        for number, target in self.descriptors.items():
            if before.descriptors.get(number) != target:
                yield f"descriptor {number} ({target})"
        for thread in self.threads:
            if thread not in before.threads:
                yield f"thread {thread.name}"
        # By identity: Trio does not promise how channels compare.
        old = list(map(id, before.channels))
        for channel in self.channels:
            if id(channel) not in old:
                yield f"open {type(channel).__name__}"


def _tasks() -> Iterator[trio.lowlevel.Task]:
    controller = current_controller()
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


def _fake_processes() -> list[FakeProcess]:
    return running_fake_processes() if trio.lowlevel.in_trio_run() else []


def child_processes() -> list[int]:
    """Return the ids of the child processes of this program that were not waited for."""
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
            # The descriptor that was opened to read the directory.
            continue
    return found


def _channels() -> Iterator[_Channel]:
    """Yield the open ends of memory channels.

    In an exploration, Python collects no garbage. So all that this schedule has made is still
    in the youngest generation, and little else is: there is no need to look elsewhere.
    """
    objects = gc.get_objects() if current_controller() is None else gc.get_objects(generation=0)
    for found in objects:
        if type(found) in (trio.MemorySendChannel, trio.MemoryReceiveChannel) and _is_open(found):
            yield found


def _is_open(channel: _Channel) -> bool:
    try:
        channel.clone().close()
    except trio.ClosedResourceError:
        return False
    return True

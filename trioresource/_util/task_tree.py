"""What a task and its children are doing, as text: for reports about what will not end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import trio


def is_within(
    task: trio.lowlevel.Task,
    ancestor: trio.lowlevel.Task | None,
    *,
    but_not: Collection[trio.Nursery] = (),
) -> bool:
    """Whether ``task`` is ``ancestor`` or was started, at any remove, by it.

    Args:
        task: the task.
        ancestor: the task that may be above it.
        but_not: nurseries whose tasks do not count.
    """
    if ancestor is None:
        return False
    current: trio.lowlevel.Task | None = task
    while current is not None:
        if current is ancestor:
            return True
        nursery = current.parent_nursery
        current = None if nursery is None or nursery in but_not else nursery.parent_task
    return False


def format_task_tree(root: trio.lowlevel.Task) -> str:
    """The task and all tasks below it, one a line, each with the line it stands at."""
    return "\n".join(_lines(root))


def _lines(root: trio.lowlevel.Task) -> Iterator[str]:
    pending = [(root, 0)]
    while pending:
        task, depth = pending.pop()
        yield f"{'  ' * depth}{task.name}: {_position(task)}"
        children: list[trio.lowlevel.Task] = []
        for nursery in task.child_nurseries:
            # A nursery keeps its tasks in a set; what is printed gives the order.
            children += sorted(nursery.child_tasks, key=lambda one: (one.name, _position(one)))
        pending += [(child, depth + 1) for child in reversed(children)]


def _position(task: trio.lowlevel.Task) -> str:
    """Where the code stands: the innermost line that is not Trio's own."""
    found = "not started"
    for frame, line in task.iter_await_frames():
        module = str(frame.f_globals.get("__name__", ""))
        if module.split(".")[0] != "trio":
            found = f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}"
    return found

"""What the model of the lifecycle is told: values, in the order in which they happened."""

from __future__ import annotations

import enum

import attrs

from trioresource._model.events import ClusterEvent
from trioresource._model.reports import Report, ResourceReport

__all__ = [
    "Added",
    "AllTaken",
    "Answered",
    "Ask",
    "Asked",
    "Closed",
    "Closing",
    "ClusterObservation",
    "Command",
    "Commanded",
    "Delivered",
    "Deviation",
    "Ended",
    "Entered",
    "Entry",
    "Handled",
    "Held",
    "HoldEnded",
    "How",
    "Left",
    "Observation",
    "Released",
    "Sent",
    "Taken",
    "Told",
]


class Deviation(AssertionError):
    """The implementation did what the model does not allow, or not what it asks for.

    Attributes:
        rule: the number of the rule of the lifecycle that is broken.
    """

    def __init__(self, rule: int, text: str) -> None:
        super().__init__(f"rule {rule}: {text}")
        self.rule = rule


class Ask(enum.Enum):
    """What may be asked for."""

    ONLINE = "online"
    OFFLINE = "offline"
    TERMINATE = "terminate"
    QUIT = "terminate, asked by a task of its own"
    """Not joined: a task cannot wait for its own end."""
    CONTROL = "control"
    FAIL = "fail"
    """That it counts as failed; answered at once."""
    REPORT = "report_failure"
    """The handler says that it may have failed; answered at once."""
    PROGRESS = "report_progress"
    CHANGE = "set_properties"
    CLOSE = "close"
    REMOVE = "remove"


class Entry(enum.Enum):
    """The entry points of a handler that a workload sees."""

    ONLINE = "online"
    OFFLINE = "offline"
    TERMINATE = "terminate"
    LOOKS_ALIVE = "looks_alive"
    """It never waits, so that it has come back when the next thing is seen."""
    IS_ALIVE = "is_alive"
    CONTROL = "control"


class How(enum.Enum):
    """How code of the handler ended."""

    RETURNED = "returned"
    RAISED = "raised"
    CANCELLED = "was cancelled"


@attrs.frozen
class Asked:
    """Something is asked for; what is seen next is what comes of it."""

    resource: str
    what: Ask
    number: int
    """Tells this request from others."""
    time: float
    epoch: int = 0
    """The attempt that a report of the handler speaks of."""
    value: int = 0
    """What the property is set to."""


@attrs.frozen
class Answered:
    """A request came back."""

    resource: str
    number: int
    answer: str
    """What was returned, or the name of the error that was raised."""
    time: float


@attrs.frozen
class Entered:
    """The handler is called."""

    resource: str
    entry: Entry
    epoch: int
    """The attempt; 0 where the handler cannot know."""
    task: str
    """The name of the task that calls."""
    caller: str
    """Whose context variables it sees."""
    value: int
    """The property in use."""
    time: float


@attrs.frozen
class Left:
    """The handler's code ended."""

    resource: str
    entry: Entry
    how: How
    time: float
    alive: bool = True
    """What ``is_alive`` answered."""


@attrs.frozen
class Held:
    """The handler holds something in its scope: a context, or a task."""

    resource: str
    what: str
    task: str
    """The name of the task, or of the one that entered the context."""
    time: float


@attrs.frozen
class Released:
    """A context was left."""

    resource: str
    what: str
    time: float
    raised: bool = False


@attrs.frozen
class Ended:
    """A background task has ended."""

    resource: str
    what: str
    how: How
    time: float


@attrs.frozen
class Told:
    """A report of the monitor, or an event of the cluster, has come."""

    report: Report | ClusterEvent
    time: float


@attrs.frozen
class Sent:
    """The monitor of a cluster has sent a report to the cluster's engine."""

    report: ResourceReport
    time: float


@attrs.frozen
class Taken:
    """The engine takes a report from the channel; what it does next comes of that."""

    report: ResourceReport
    time: float


@attrs.frozen
class Command:
    """A command that a cluster's engine gives to a monitor."""

    resource: str
    instance: int
    what: Ask
    """``ONLINE``, ``OFFLINE``, ``TERMINATE`` or ``FAIL``."""
    generation: int = 0
    epoch: int = 0
    """The attempt that is begun, confirmed, or told to fail."""


@attrs.frozen
class Commanded:
    """The engine gives a command."""

    command: Command
    time: float


@attrs.frozen
class Delivered:
    """The monitor takes a command; what is reported next comes of it."""

    command: Command
    time: float


@attrs.frozen
class AllTaken:
    """The engine has taken all there are; what it does next are its decisions."""

    time: float


@attrs.frozen
class Added:
    """A resource is hosted; the engine takes it into its cluster now."""

    resource: str
    instance: int
    time: float


@attrs.frozen
class Closing:
    """The monitor begins to close a resource that is removed from its cluster."""

    resource: str
    time: float


@attrs.frozen
class Closed:
    """That has ended; the engine forgets the resource now, if it was done."""

    resource: str
    done: bool
    """Whether nothing is left of it."""
    time: float


@attrs.frozen
class HoldEnded:
    """The time of a hold is over, or the hold was lifted."""

    resource: str
    number: int
    """Counts the holds of the resource."""
    time: float


Handled = Entered | Left | Held | Released | Ended
"""What happens to a handler."""
Observation = Asked | Answered | Handled | Told
"""Everything that the model of a resource may be told."""
ClusterObservation = (
    Observation
    | Commanded
    | Delivered
    | Sent
    | Taken
    | AllTaken
    | HoldEnded
    | Added
    | Closing
    | Closed
)
"""Everything that the model of a cluster may be told."""

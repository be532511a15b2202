"""How long to wait, how often to poll, what to do after a failure: values and decisions.

All durations are seconds. The defaults are those that Windows failover clusters
document for PendingTimeout, DeadlockTimeout, LooksAlivePollInterval,
IsAlivePollInterval, RestartThreshold, RestartPeriod, RestartDelay and
RetryPeriodOnFailure.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any, Final, Literal, overload

import attrs
from attrs.validators import instance_of, optional

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random


_LARGEST: Final = 1e12
"""Largest finite number of seconds, 30,000 years: more is a slip, and sums with it would
lose their fractions."""

_Validator = Callable[[object, "attrs.Attribute[Any]", Any], None]


def _number(
    least: float = 0, *, open_below: bool = True, most: float = _LARGEST, infinite: bool = True
) -> _Validator:
    lower = f"greater than {least:g}" if open_below else f"at least {least:g}"
    upper = f"at most {most:g}, or infinite" if infinite else f"at most {most:g}"

    def check(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        name = attribute.name
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} must be a number {lower}, not {value!r}")
        # Written so that nan is never in bounds.
        if not (value > least or (value == least and not open_below)):
            raise ValueError(f"{name} must be {lower}, not {value!r}")
        if value > most and not (infinite and value == inf):
            raise ValueError(f"{name} must be {upper}, not {value!r:.20}")

    return check


def _count(least: int) -> _Validator:
    def check(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(
                f"{attribute.name} must be a whole number of at least {least}, not {value!r}"
            )

    return check


_SECONDS_OR_NONE: Final[_Validator] = optional(_number(infinite=False))


@attrs.frozen(kw_only=True)
class Deadlines:
    """The four deadlines of an attempt, in seconds; each has a clock of its own.

    Raises:
        ValueError: a deadline is not a number greater than 0.
    """

    soft: float = attrs.field(default=0.3, validator=_number())
    """How long ``online()`` and ``offline()`` wait before they return a pending state. It
    cancels nothing."""
    pending: float = attrs.field(default=180.0, validator=_number())
    """The longest gap between progress reports while pending; if it is overrun, the attempt
    is terminated."""
    deadlock: float = attrs.field(default=300.0, validator=_number())
    """The longest single call of any entry point; it also caps ``pending``."""
    terminate: float = attrs.field(default=30.0, validator=_number())
    """The longest time for all of the clean-up; an attempt that overruns it is stuck."""

    @property
    def progress_gap(self) -> float:
        """The pending deadline that is applied: never longer than the deadlock deadline."""
        return min(self.pending, self.deadlock)


@attrs.frozen(kw_only=True)
class PollIntervals:
    """How often a resource is polled while it is online, in seconds.

    ``None`` inherits from the resource's type; what the type leaves None is 5 s for
    ``looks_alive`` and 60 s for ``is_alive``. Neither can be 0, and ``is_alive`` polling
    cannot be turned off.

    Raises:
        ValueError: an interval is below 10 ms or infinite, or ``failures`` is more than
            ``window``.
    """

    looks_alive: float | None = attrs.field(
        default=None, validator=optional(_number(0.01, open_below=False, infinite=False))
    )
    is_alive: float | None = attrs.field(
        default=None, validator=optional(_number(0.01, open_below=False, infinite=False))
    )
    failures: int | None = attrs.field(default=None, validator=optional(_count(1)))
    """How many of the last ``window`` answers of ``is_alive`` must be False until the
    resource counts as failed. The default is 1."""
    window: int | None = attrs.field(default=None, validator=optional(_count(1)))
    """How many answers are counted. The default is ``failures``."""

    def __attrs_post_init__(self) -> None:
        if (self.failures or 1) > (self.window or self.failures or 1):
            raise ValueError(
                f"failures ({self.failures}) cannot be more than window ({self.window or 1})"
            )

    def inherit(self, parent: PollIntervals) -> PollIntervals:
        """Fill in what these intervals leave None.

        ``failures`` and ``window`` are one threshold: if either is set, neither is
        inherited. ``parent`` might allow no such pair.

        Args:
            parent: the intervals of the type, or ``DEFAULT_POLL_INTERVALS``.

        Returns:
            These intervals, with those of the parent where they are None.
        """
        own_threshold = self.failures is not None or self.window is not None
        threshold = self if own_threshold else parent
        return PollIntervals(
            looks_alive=parent.looks_alive if self.looks_alive is None else self.looks_alive,
            is_alive=parent.is_alive if self.is_alive is None else self.is_alive,
            failures=threshold.failures,
            window=threshold.window,
        )


DEFAULT_POLL_INTERVALS: Final = PollIntervals(looks_alive=5.0, is_alive=60.0)
"""The intervals of a type that sets none."""


class RestartAction(enum.Enum):
    """What to do when a resource that should be online fails (Windows: RestartAction)."""

    NONE = "none"
    """Leave it failed."""
    RESTART = "restart"
    """Restart it; when too many restarts have failed, leave it failed and retry later."""
    RESTART_AND_FAIL_OVER = "restart-and-fail-over"
    """Restart it; when too many restarts have failed, move its group to another node. With
    one node, the only possibility so far, this is the same as ``RESTART``."""


@attrs.frozen(kw_only=True)
class Backoff:
    """Restart delays that grow: ``delay * factor ** n``, up to ``maximum``, with jitter.

    Raises:
        ValueError: a value is out of its bounds.
    """

    factor: float = attrs.field(default=2.0, validator=_number(1, open_below=False, infinite=False))
    maximum: float = attrs.field(default=60.0, validator=_number(infinite=False))
    """The longest delay in seconds; it also bounds the first."""
    jitter: float = attrs.field(
        default=0.0, validator=_number(open_below=False, most=1, infinite=False)
    )
    """The part of the delay, 0 to 1, of which a random share is taken off."""

    def delay(self, base: float, failures: int, random: Random) -> float:
        """Compute the delay before the restart that follows a number of failures.

        Args:
            base: the delay after the first failure, in seconds.
            failures: how many failures the series holds so far, 1 or more.
            random: the generator for the jitter; not used without jitter.

        Returns:
            Seconds, from 0 to ``maximum``.
        """
        try:
            delay = min(base * math.pow(self.factor, failures - 1), self.maximum)
        except OverflowError:
            delay = self.maximum if base else 0.0
        return delay * (1 - self.jitter * random.random()) if self.jitter else delay


@attrs.frozen(kw_only=True)
class RestartPolicy:
    """What to do when a resource fails.

    Up to ``threshold`` failures within ``period`` seconds lead to a restart after
    ``delay`` seconds; the next failure escalates. A command given by hand is never refused
    because of earlier failures, and the count begins anew with it.

    Raises:
        ValueError: a value is out of its bounds.
        TypeError: ``action`` is no ``RestartAction``, or ``backoff`` no ``Backoff``.
    """

    action: RestartAction = attrs.field(
        default=RestartAction.RESTART_AND_FAIL_OVER, validator=instance_of(RestartAction)
    )
    threshold: int = attrs.field(default=3, validator=_count(0))
    period: float = attrs.field(default=900.0, validator=_number())
    delay: float = attrs.field(default=0.5, validator=_number(open_below=False, infinite=False))
    retry: float | None = attrs.field(default=3600.0, validator=_SECONDS_OR_NONE)
    """Seconds that the resource stays failed after the last restart, until a new series of
    restarts begins; ``None`` means for good."""
    backoff: Backoff | None = attrs.field(default=None, validator=optional(instance_of(Backoff)))
    """``None``: every restart waits ``delay``."""
    stable_after: float | None = attrs.field(default=None, validator=_SECONDS_OR_NONE)
    """Seconds of being online after which earlier failures are forgotten; ``None``: they are
    forgotten only after ``period``."""


@attrs.frozen(kw_only=True)
class FailoverPolicy:
    """How often a group may be moved to another node because of failures.

    Not public and not part of the cluster file until a cluster can have several nodes.

    Raises:
        ValueError: a value is out of its bounds.
    """

    threshold: int | None = attrs.field(default=None, validator=optional(_count(0)))
    """``None``: the number of nodes less one."""
    period: float = attrs.field(default=6 * 3600.0, validator=_number())

    def allows(self, failovers: Sequence[float], *, nodes: int, now: float) -> bool:
        """Tell whether one more failover is allowed.

        Args:
            failovers: the times of earlier failovers, in seconds on the clock of ``now``.
            nodes: the number of nodes that the group may be on.
            now: the time of the decision.
        """
        threshold = nodes - 1 if self.threshold is None else self.threshold
        return sum(1 for at in failovers if at > now - self.period) < threshold


@attrs.frozen
class Restart:
    """Decision: restart the resource after ``delay`` seconds."""

    delay: float
    failures: int
    """How many failures the restart period holds, this one included."""


@attrs.frozen
class FailOver:
    """Decision: restarts on this node have failed, move the group to another node.

    Not public until a cluster can have several nodes.
    """

    failures: int


@attrs.frozen
class StayFailed:
    """Decision: leave the resource failed, and try again after ``retry`` seconds."""

    retry: float | None
    """None: do not try again."""
    failures: int
    """How many failures the restart period holds, this one included."""


RecoveryDecision = Restart | StayFailed
"""What a cluster of one node may decide about a failure."""


@overload
def decide_recovery(
    policy: RestartPolicy,
    failures: Sequence[float],
    *,
    now: float,
    random: Random,
    can_fail_over: Literal[False] = False,
) -> RecoveryDecision: ...


@overload
def decide_recovery(
    policy: RestartPolicy,
    failures: Sequence[float],
    *,
    now: float,
    random: Random,
    can_fail_over: bool,
) -> RecoveryDecision | FailOver: ...


def decide_recovery(
    policy: RestartPolicy,
    failures: Sequence[float],
    *,
    now: float,
    random: Random,
    can_fail_over: bool = False,
) -> RecoveryDecision | FailOver:
    """Decide what to do about a failure of a resource that should be online.

    Args:
        policy: the resource's restart policy.
        failures: the times of the failures of the present series, this one included, in
            seconds on the clock of ``now``.
        now: the time of the decision.
        random: the generator for jitter.
        can_fail_over: whether another node could take the group.

    Returns:
        The decision. The (N+1)th failure within the period escalates, N being the
        threshold (Windows: RestartThreshold, RestartPeriod, RestartAction).
    """
    count = sum(1 for at in failures if at > now - policy.period)
    if policy.action is RestartAction.NONE:
        return StayFailed(None, count)
    if count <= policy.threshold:
        if policy.backoff is None:
            return Restart(policy.delay, count)
        return Restart(policy.backoff.delay(policy.delay, count, random), count)
    if policy.action is RestartAction.RESTART_AND_FAIL_OVER and can_fail_over:
        return FailOver(count)
    return StayFailed(policy.retry, count)

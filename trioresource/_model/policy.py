"""How long to wait, how often to look, what to do after a failure: values and decisions.

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
"""Beyond 30,000 years a number is a slip, and sums with it lose their fractions."""

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
    """The four clocks of an attempt; they are never merged.

    Raises:
        ValueError: a deadline is not a number greater than 0.
    """

    soft: float = attrs.field(default=0.3, validator=_number())
    """How long ``online()`` and ``offline()`` wait before they answer "pending". It
    cancels nothing."""
    pending: float = attrs.field(default=180.0, validator=_number())
    """The longest gap between progress reports while pending; overrun terminates."""
    deadlock: float = attrs.field(default=300.0, validator=_number())
    """The longest single call of any entry point; it also caps ``pending``."""
    terminate: float = attrs.field(default=30.0, validator=_number())
    """The bound of clean-up; an attempt that overruns it is stuck."""

    @property
    def progress_gap(self) -> float:
        """The pending deadline in force: never longer than the deadlock deadline."""
        return min(self.pending, self.deadlock)


@attrs.frozen(kw_only=True)
class PollIntervals:
    """How often a resource is looked at while it is online.

    ``None`` inherits from the resource's type, and from 5 s and 60 s after that.
    Neither can be 0, and ``is_alive`` polling can not be turned off.

    Raises:
        ValueError: an interval is below 10 ms or infinite, or the threshold is not
            possible.
    """

    looks_alive: float | None = attrs.field(
        default=None, validator=optional(_number(0.01, open_below=False, infinite=False))
    )
    is_alive: float | None = attrs.field(
        default=None, validator=optional(_number(0.01, open_below=False, infinite=False))
    )
    failures: int | None = attrs.field(default=None, validator=optional(_count(1)))
    """How many of the last ``window`` answers of ``is_alive`` must be no before the
    resource counts as failed. By default 1."""
    window: int | None = attrs.field(default=None, validator=optional(_count(1)))
    """How many answers count. By default as many as ``failures``."""

    def __attrs_post_init__(self) -> None:
        if (self.failures or 1) > (self.window or self.failures or 1):
            raise ValueError(
                f"failures ({self.failures}) can not be more than window ({self.window or 1})"
            )

    def inherit(self, parent: PollIntervals) -> PollIntervals:
        """These intervals, with what is not set taken from ``parent``.

        ``failures`` and ``window`` are one threshold: who sets either inherits neither.

        Args:
            parent: the intervals of the type, or ``DEFAULT_POLL_INTERVALS``.
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
"""What a type inherits that sets no intervals."""


class RestartAction(enum.Enum):
    """What to do when a resource fails that should be online (RestartAction 0, 1, 2)."""

    NONE = "none"
    """Leave it failed."""
    RESTART = "restart"
    """Restart it here; when the budget is spent, stay failed and retry later."""
    RESTART_AND_FAIL_OVER = "restart-and-fail-over"
    """Restart it here; when the budget is spent, move its group to another node."""


@attrs.frozen(kw_only=True)
class Backoff:
    """Restart delays that grow: ``delay * factor ** n``, up to ``maximum``, with jitter.

    Raises:
        ValueError: a value is out of its bounds.
    """

    factor: float = attrs.field(default=2.0, validator=_number(1, open_below=False, infinite=False))
    maximum: float = attrs.field(default=60.0, validator=_number(infinite=False))
    """Seconds; no delay is longer, not even the first."""
    jitter: float = attrs.field(
        default=0.0, validator=_number(open_below=False, most=1, infinite=False)
    )
    """The share of the delay, 0 to 1, by which it is made shorter at random."""

    def delay(self, base: float, failures: int, random: Random) -> float:
        """The delay before the restart that follows a number of failures.

        Args:
            base: the delay after the first failure, in seconds.
            failures: how many failures the series holds so far, 1 or more.
            random: where the jitter comes from; not asked where there is none.

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

    ``threshold`` failures within ``period`` are answered by a restart after
    ``delay``; the next one escalates. A manual command is never refused because the
    budget is spent, and it clears the budget.

    Raises:
        ValueError: a value is out of its bounds.
        TypeError: ``action`` or ``backoff`` is something else.
    """

    action: RestartAction = attrs.field(
        default=RestartAction.RESTART_AND_FAIL_OVER, validator=instance_of(RestartAction)
    )
    threshold: int = attrs.field(default=3, validator=_count(0))
    period: float = attrs.field(default=900.0, validator=_number())
    delay: float = attrs.field(default=0.5, validator=_number(open_below=False, infinite=False))
    retry: float | None = attrs.field(default=3600.0, validator=_SECONDS_OR_NONE)
    """How long the resource stays failed after the last resort before a new series of
    restarts; ``None`` means for good."""
    backoff: Backoff | None = attrs.field(default=None, validator=optional(instance_of(Backoff)))
    """``None``: every restart waits ``delay``."""
    stable_after: float | None = attrs.field(default=None, validator=_SECONDS_OR_NONE)
    """Being online this long clears the budget; ``None``: only ``period`` does."""


@attrs.frozen(kw_only=True)
class FailoverPolicy:
    """How often a group may be moved to another node because of failures.

    Raises:
        ValueError: a value is out of its bounds.
    """

    threshold: int | None = attrs.field(default=None, validator=optional(_count(0)))
    """``None``: the number of nodes less one."""
    period: float = attrs.field(default=6 * 3600.0, validator=_number())

    def allows(self, failovers: Sequence[float], *, nodes: int, now: float) -> bool:
        """Whether one more failover is within the budget.

        Args:
            failovers: when the earlier ones were, in seconds on the clock of ``now``.
            nodes: the number of nodes that the group may live on.
            now: the time of the decision.
        """
        threshold = nodes - 1 if self.threshold is None else self.threshold
        return sum(1 for at in failovers if at > now - self.period) < threshold


@attrs.frozen
class Restart:
    """Decision: bring the resource online again after ``delay`` seconds."""

    delay: float
    failures: int
    """How many failures the restart period holds, this one included."""


@attrs.frozen
class FailOver:
    """Decision: the budget here is spent, move the group to another node."""

    failures: int


@attrs.frozen
class StayFailed:
    """Decision: leave it failed, and try again after ``retry`` seconds, if at all."""

    retry: float | None
    failures: int


RecoveryDecision = Restart | StayFailed
"""What a cluster decides about a failure."""


@overload
def decide_recovery(
    policy: RestartPolicy,
    failures: Sequence[float],
    *,
    now: float,
    random: Random,
    can_fail_over: Literal[False],
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
    can_fail_over: bool,
) -> RecoveryDecision | FailOver:
    """What to do about a failure of a resource that should be online.

    Args:
        policy: the resource's restart policy.
        failures: when the failures of the present series were, this one included, in
            seconds on the clock of ``now``.
        now: the time of the decision.
        random: where jitter comes from.
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

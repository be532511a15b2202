from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioresource._model.policy import (
    DEFAULT_POLL_INTERVALS,
    Backoff,
    Deadlines,
    FailOver,
    FailoverPolicy,
    PollIntervals,
    Restart,
    RestartAction,
    RestartPolicy,
    StayFailed,
    decide_recovery,
)

_RANDOM = random.Random(1)
_TIMES = st.floats(0, 1e6)


def _decide(
    policy: RestartPolicy, failures: list[float], *, now: float | None = None, to: bool = True
) -> object:
    return decide_recovery(
        policy,
        failures,
        now=failures[-1] if now is None else now,
        random=_RANDOM,
        can_fail_over=to,
    )


# --- values ----------------------------------------------------------------------------


def test_the_documented_defaults() -> None:
    assert (Deadlines().soft, Deadlines().pending) == (0.3, 180.0)
    assert (Deadlines().deadlock, Deadlines().terminate) == (300.0, 30.0)
    poll = DEFAULT_POLL_INTERVALS
    assert (poll.looks_alive, poll.is_alive, poll.failures, poll.window) == (5.0, 60.0, None, None)
    restart = RestartPolicy()
    assert restart.action is RestartAction.RESTART_AND_FAIL_OVER
    assert (restart.threshold, restart.period) == (3, 900.0)
    assert (restart.delay, restart.retry) == (0.5, 3600.0)
    assert (FailoverPolicy().threshold, FailoverPolicy().period) == (None, 21600.0)


_INVALID: list[tuple[type, str, Any, str]] = [
    (Deadlines, "soft", 0, "soft must be greater than 0, not 0"),
    (Deadlines, "pending", -1.5, "pending must be greater than 0, not -1.5"),
    (Deadlines, "deadlock", math.nan, "deadlock must be greater than 0, not nan"),
    (Deadlines, "terminate", None, "terminate must be a number greater than 0, not None"),
    (Deadlines, "terminate", True, "terminate must be a number greater than 0, not True"),
    (Deadlines, "soft", "1 s", "soft must be a number greater than 0, not '1 s'"),
    (Deadlines, "soft", 10**400, "soft must be at most 1e+12, or infinite, not 1" + "0" * 19),
    (PollIntervals, "looks_alive", 0, "looks_alive must be at least 0.01, not 0"),
    (PollIntervals, "is_alive", 0.009, "is_alive must be at least 0.01, not 0.009"),
    (PollIntervals, "is_alive", math.inf, "is_alive must be at most 1e+12, not inf"),
    (PollIntervals, "failures", 0, "failures must be a whole number of at least 1, not 0"),
    (PollIntervals, "window", 2.0, "window must be a whole number of at least 1, not 2.0"),
    (Backoff, "factor", 0.5, "factor must be at least 1, not 0.5"),
    (Backoff, "factor", math.inf, "factor must be at most 1e+12, not inf"),
    (Backoff, "maximum", 0, "maximum must be greater than 0, not 0"),
    (Backoff, "jitter", 1.1, "jitter must be at most 1, not 1.1"),
    (Backoff, "jitter", math.inf, "jitter must be at most 1, not inf"),
    (Backoff, "jitter", -0.1, "jitter must be at least 0, not -0.1"),
    (RestartPolicy, "threshold", -1, "threshold must be a whole number of at least 0, not -1"),
    (RestartPolicy, "threshold", None, "threshold must be a whole number of at least 0, not None"),
    (RestartPolicy, "threshold", True, "threshold must be a whole number of at least 0, not True"),
    (RestartPolicy, "period", 0, "period must be greater than 0, not 0"),
    (RestartPolicy, "delay", math.inf, "delay must be at most 1e+12, not inf"),
    (RestartPolicy, "retry", 0, "retry must be greater than 0, not 0"),
    (RestartPolicy, "stable_after", 0, "stable_after must be greater than 0, not 0"),
    (FailoverPolicy, "threshold", -1, "threshold must be a whole number of at least 0, not -1"),
    (FailoverPolicy, "period", 0, "period must be greater than 0, not 0"),
]


@pytest.mark.parametrize(("kind", "name", "value", "message"), _INVALID)
def test_what_is_out_of_bounds_is_refused(kind: type, name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        kind(**{name: value})
    assert str(caught.value) == message


@pytest.mark.parametrize(("name", "value"), [("action", "none"), ("backoff", 2.0)])
def test_a_policy_of_another_type_is_refused(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=name):
        RestartPolicy(**{name: value})


def test_the_bounds_themselves_are_allowed() -> None:
    assert Deadlines(soft=math.inf).soft == math.inf
    assert PollIntervals(looks_alive=0.01, failures=1, window=1).window == 1
    assert Backoff(factor=1, jitter=1).jitter == 1
    assert RestartPolicy(threshold=0, delay=0, retry=None, period=math.inf).retry is None
    assert FailoverPolicy(threshold=0).threshold == 0


@pytest.mark.parametrize(("pending", "deadlock", "gap"), [(180, 300, 180), (500, 300, 300)])
def test_the_deadlock_deadline_caps_the_pending_deadline(
    pending: float, deadlock: float, gap: float
) -> None:
    assert Deadlines(pending=pending, deadlock=deadlock).progress_gap == gap


# --- poll intervals --------------------------------------------------------------------


def test_what_is_not_set_is_inherited() -> None:
    of_type = PollIntervals(is_alive=30.0, failures=2, window=3)
    own = PollIntervals(looks_alive=1.0)
    assert own.inherit(of_type).inherit(DEFAULT_POLL_INTERVALS) == PollIntervals(
        looks_alive=1.0, is_alive=30.0, failures=2, window=3
    )
    assert PollIntervals().inherit(DEFAULT_POLL_INTERVALS) == DEFAULT_POLL_INTERVALS


@pytest.mark.parametrize("own", [PollIntervals(failures=4), PollIntervals(window=2)])
def test_the_threshold_is_inherited_as_a_whole(own: PollIntervals) -> None:
    # 4 of 3 would be impossible, and 3 of 2 as well.
    merged = own.inherit(PollIntervals(failures=3, window=3))
    assert (merged.failures, merged.window) == (own.failures, own.window)


_INTERVALS = st.builds(
    PollIntervals,
    looks_alive=st.none() | st.floats(0.01, 100),
    is_alive=st.none() | st.floats(0.01, 100),
    failures=st.none() | st.integers(1, 3),
    window=st.none() | st.integers(3, 5),
)


@given(_INTERVALS, _INTERVALS, _INTERVALS)
def test_it_does_not_matter_where_a_chain_of_inheritance_begins(
    own: PollIntervals, of_type: PollIntervals, last: PollIntervals
) -> None:
    assert own.inherit(of_type).inherit(last) == own.inherit(of_type.inherit(last))
    assert own.inherit(PollIntervals()) == PollIntervals().inherit(own) == own


def test_more_failures_than_answers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"failures \(3\) cannot be more than window \(2\)"):
        PollIntervals(failures=3, window=2)
    assert PollIntervals(window=2).failures is None
    assert PollIntervals(failures=3).window is None


# --- backoff ---------------------------------------------------------------------------


def test_delays_grow_up_to_the_maximum() -> None:
    backoff = Backoff(factor=2, maximum=3)
    delays = [backoff.delay(0.5, failures, _RANDOM) for failures in range(1, 6)]
    assert delays == [0.5, 1, 2, 3, 3]


@given(
    base=st.floats(0, 1e9),
    failures=st.integers(1, 10**6) | st.just(10**9),
    factor=st.floats(1, 1e9),
    maximum=st.floats(1e-9, 1e9),
)
def test_no_delay_exceeds_the_maximum_or_overflows(
    base: float, failures: int, factor: float, maximum: float
) -> None:
    backoff = Backoff(factor=factor, maximum=maximum)
    delay = backoff.delay(base, failures, _RANDOM)
    assert min(base, maximum) <= delay <= maximum
    assert delay <= backoff.delay(base, failures + 1, _RANDOM)


def test_after_a_million_failures() -> None:
    assert Backoff(maximum=60).delay(0.5, 10**6, _RANDOM) == 60
    assert Backoff(maximum=60).delay(0, 10**6, _RANDOM) == 0
    assert Backoff(factor=1).delay(0.5, 10**6, _RANDOM) == 0.5


@given(jitter=st.floats(0, 1), seed=st.integers(0, 2**32), failures=st.integers(1, 100))
def test_jitter_only_shortens_and_no_more_than_its_share(
    jitter: float, seed: int, failures: int
) -> None:
    full = Backoff().delay(0.5, failures, _RANDOM)
    delay = Backoff(jitter=jitter).delay(0.5, failures, random.Random(seed))
    assert full * (1 - jitter) * (1 - 1e-12) <= delay <= full
    assert delay == Backoff(jitter=jitter).delay(0.5, failures, random.Random(seed))


def test_jitter_spreads_delays() -> None:
    source = random.Random(7)
    delays = [Backoff(jitter=0.5).delay(8, 1, source) for _ in range(200)]
    assert 4 <= min(delays) < 5 < 7 < max(delays) <= 8


# --- recovery --------------------------------------------------------------------------


@given(
    threshold=st.integers(0, 20),
    period=st.floats(1, 1e5),
    first=_TIMES,
    fail_over=st.booleans(),
    data=st.data(),
)
def test_one_more_than_the_threshold_within_the_period_escalates(
    threshold: int, period: float, first: float, fail_over: bool, data: st.DataObject
) -> None:
    policy = RestartPolicy(threshold=threshold, period=period)
    offsets = st.floats(0, period * 0.9)
    times = data.draw(st.lists(offsets, min_size=threshold + 1, max_size=threshold + 1))
    failures = sorted(first + offset for offset in times)

    for count in range(1, threshold + 1):
        assert _decide(policy, failures[:count], to=fail_over) == Restart(0.5, count)
    last = _decide(policy, failures, to=fail_over)
    count = threshold + 1
    assert last == (FailOver(count) if fail_over else StayFailed(3600.0, count))


@given(threshold=st.integers(1, 10), period=st.integers(1, 1000), old=st.lists(_TIMES))
def test_failures_before_the_period_do_not_count(
    threshold: int, period: int, old: list[float]
) -> None:
    policy = RestartPolicy(threshold=threshold, period=period)
    now = 1e6 + period
    assert _decide(policy, [*sorted(old), now]) == Restart(0.5, 1)


def test_a_failure_exactly_one_period_old_does_not_count() -> None:
    policy = RestartPolicy(threshold=1, period=900)
    assert _decide(policy, [0.0, 900.0]) == Restart(0.5, 1)
    assert _decide(policy, [0.5, 900.0]) == FailOver(2)


def test_threshold_zero_escalates_at_once() -> None:
    assert _decide(RestartPolicy(threshold=0), [1.0]) == FailOver(1)


def test_an_infinite_period_forgets_nothing() -> None:
    policy = RestartPolicy(threshold=1, period=math.inf)
    assert _decide(policy, [0.0, 1e9]) == FailOver(2)


@pytest.mark.parametrize("to", [False, True])
def test_action_none_leaves_it_failed_for_good(to: bool) -> None:
    policy = RestartPolicy(action=RestartAction.NONE)
    assert _decide(policy, [1.0], to=to) == StayFailed(None, 1)


@pytest.mark.parametrize("to", [False, True])
def test_action_restart_never_fails_over(to: bool) -> None:
    policy = RestartPolicy(action=RestartAction.RESTART, threshold=1, retry=None)
    assert _decide(policy, [1.0], to=to) == Restart(0.5, 1)
    assert _decide(policy, [1.0, 2.0], to=to) == StayFailed(None, 2)


def test_restarts_back_off_by_the_failures_within_the_period() -> None:
    policy = RestartPolicy(threshold=5, period=100, backoff=Backoff(factor=3, maximum=4))
    assert _decide(policy, [1.0]) == Restart(0.5, 1)
    assert _decide(policy, [1.0, 2.0]) == Restart(1.5, 2)
    assert _decide(policy, [1.0, 2.0, 3.0]) == Restart(4, 3)
    assert _decide(policy, [1.0, 2.0, 200.0]) == Restart(0.5, 1)


# --- failover --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "done", "allowed"),
    [(0, 0, False), (1, 0, False), (2, 0, True), (2, 1, False), (3, 1, True), (3, 2, False)],
)
def test_by_default_a_group_may_visit_every_other_node(
    nodes: int, done: int, allowed: bool
) -> None:
    assert FailoverPolicy().allows([5.0] * done, nodes=nodes, now=10.0) is allowed


def test_failovers_before_the_period_do_not_count() -> None:
    policy = FailoverPolicy(threshold=1, period=60)
    assert policy.allows([0.0], nodes=9, now=60.0)
    assert not policy.allows([0.1], nodes=9, now=60.0)
    assert not FailoverPolicy(threshold=0).allows([], nodes=9, now=60.0)

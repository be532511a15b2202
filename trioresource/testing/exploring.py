"""Exploration: run a scenario in many schedules, and report the first that fails."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any, Final, ParamSpec, final, overload

import attrs
import trio

from trioresource.testing.exhaustive import Exhaustive
from trioresource.testing.findings import Diverged
from trioresource.testing.following import Replay
from trioresource.testing.overrides import overrides
from trioresource.testing.portfolio import make_strategy
from trioresource.testing.running import Run, Scenario, Settings, run, search
from trioresource.testing.schedule import Schedule, schedule_of
from trioresource.testing.shrinking import Shrinker, signature
from trioresource.testing.strategies import Fifo, Strategy
from trioresource.testing.tokens import decode
from trioresource.testing.tracing import Tracer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

__all__ = ["Exploration", "explore", "explored", "replay"]

P = ParamSpec("P")


@attrs.frozen(kw_only=True)
class Exploration:
    """What an exploration did."""

    schedules: int
    """How many schedules ran, the plain one included; without those of the shrinking."""
    strategy: str
    """The strategy's name."""
    seed: int
    exhausted: bool = False
    """Whether there is no other schedule, within the bound on preemptions."""
    bound: int | None = None
    """The most preemptions of a schedule, where the strategy has such a bound."""
    seconds: float = 0.0
    """How long it took, in real seconds."""
    failure: Schedule | None = None
    """The simplest schedule found that fails."""
    found: Schedule | None = None
    """The schedule that failed first, as it was before it was shrunk."""
    shrinking: int = 0
    """How many schedules the shrinking tried."""

    @property
    def rate(self) -> float:
        """Schedules in a second."""
        return self.schedules / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        """In words, for a test's report."""
        if self.failure is not None:
            return f"schedule {self.schedules} failed ({self.strategy}, seed {self.seed})"
        text = f"{self.schedules} schedules ({self.strategy}, seed {self.seed})"
        if self.exhausted and self.bound is not None:
            return f"{text}: every schedule with at most {self.bound} preemptions"
        return f"{text}: every schedule there is" if self.exhausted else text


def explore(
    scenario: Scenario,
    *,
    schedules: int = 200,
    strategy: str | Strategy = "auto",
    seed: int = 0,
    timers: bool = False,
    cancel: bool = False,
    seconds: float | None = None,
    max_steps: int = 10_000,
    replay: str | None = None,
    check: bool = True,
) -> Exploration:
    """Run a scenario in many schedules, until one fails.

    A schedule decides which task goes next whenever more than one could. The first one
    is the plain one, in which tasks go in the order in which they could; it runs twice,
    to see whether the scenario does the same when the same is decided. Time is virtual:
    it starts at zero with each schedule, and jumps to the next deadline when all tasks wait.

    Args:
        scenario: an async function without arguments. It is called anew for each schedule,
            and must make all that it uses itself.
        schedules: how many at most.
        strategy: which schedules. ``auto``: several strategies in turn. ``random``, ``pos``,
            ``pct:DEPTH``, ``urw``: one of them. ``exhaustive``: every schedule;
            ``exhaustive:N``: every schedule with at most N preemptions; they end when there
            is none left. ``fifo``: the plain schedule. Or an object of one's own.
        seed: what the strategy draws from; the same seed, the same schedules.
        timers: whether the next deadline may expire while tasks could run, as it does on
            a computer that is slow.
        cancel: whether the body of ``cancellable()`` may be cancelled at any moment.
        seconds: the search begins no other schedule after so many real seconds.
        max_steps: a schedule with more steps has a livelock.
        replay: the token of a schedule: only that one runs.
        check: whether to raise what was found; otherwise it is in the result.

    Returns:
        What was done.

    Raises:
        BaseException: the error of the schedule that failed, as the scenario raised it,
            with a note that shows the simplest such schedule, and how to replay it.
        Deadlock: every task waits, and nothing will happen.
        Livelock: the schedule does not end.
        Uncontrolled: a task waits for something that no schedule controls.
        Diverged: the same decisions led to something else.
        ValueError: an argument is wrong.
        RuntimeError: Trio runs in this thread already.
    """
    if trio.lowlevel.in_trio_run():
        raise RuntimeError(
            "explore() runs Trio by itself, many times; call it from a function that is not"
            " async, or decorate the async test by @explored() instead"
        )
    explorer = _Explorer(
        scenario,
        settings=Settings(timers=timers, cancel=cancel, max_steps=max_steps),
        schedules=schedules,
        strategy=strategy,
        seed=seed,
        seconds=seconds,
        replay=replay,
    )
    result = explorer.explore()
    failure = result.failure
    token = None if failure is None else failure.token
    overrides().explored(str(result), token)
    if failure is None or not check:
        return result
    error = failure.error
    assert error is not None
    _explain(error, result, failure)
    try:
        raise error
    finally:
        # The frame holds the error, which holds the frame.
        del error, failure, result, explorer


def replay(scenario: Scenario, token: str, **options: Any) -> Exploration:
    """Run one schedule again.

    Args:
        scenario: the scenario of the exploration that gave the token.
        token: which schedule.
        options: the other arguments of ``explore`` as they were, such as ``timers``.

    Returns:
        What was done, if nothing was found.

    Raises:
        BaseException: as ``explore`` does.
    """
    return explore(scenario, replay=token, **options)


@overload
def explored(test: Callable[P, Awaitable[Any]], /) -> Callable[P, None]: ...


@overload
def explored(**options: Any) -> Callable[[Callable[P, Awaitable[Any]]], Callable[P, None]]: ...


def explored(test: Any = None, /, **options: Any) -> Any:
    """Let an async test run in many schedules.

    Args:
        test: the test.
        options: the arguments of ``explore``.

    Returns:
        A test that is no async function, and takes the same arguments: any test runner
        runs it. The arguments are the same in each schedule.
    """
    if test is None:
        return functools.partial(explored, **options)

    @functools.wraps(test)
    def explore_test(*args: Any, **kwargs: Any) -> None:
        explore(functools.partial(test, *args, **kwargs), **options)

    # What the pytest plugin knows such a test by, without importing this module.
    explore_test.__dict__["_trioresource_explored"] = True
    return explore_test


@final
class _Explorer:
    """One call of ``explore``."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        settings: Settings,
        schedules: int,
        strategy: str | Strategy,
        seed: int,
        seconds: float | None,
        replay: str | None,
    ) -> None:
        over = overrides()
        self._scenario: Final = scenario
        self._settings: Final = settings
        self._schedules: Final = schedules if over.schedules is None else over.schedules
        self._seed: Final = seed if over.seed is None else over.seed
        self._seconds: Final = seconds
        self._replay: Final = replay if over.token is None else over.token
        if over.strategy is not None:
            strategy = over.strategy
        if isinstance(strategy, str):
            self._name = strategy
            self._strategy = make_strategy(strategy, self._seed)
        else:
            self._name = getattr(strategy, "name", type(strategy).__name__)
            self._strategy = strategy
        for name, value, least in (
            ("schedules", self._schedules, 1),
            ("max_steps", settings.max_steps, 1),
        ):
            if value < least:
                raise ValueError(f"{name}: {least} at least, not {value}")
        self._first: Final = tuple(map(decode, over.failed_before))
        self._ran = 0
        self._began = time.perf_counter()
        self._failed: Run | None = None

    def explore(self) -> Exploration:
        if self._replay is not None:
            self._name = "replay"
            self._try([decode(self._replay)])
            return self._result()
        if not self._try(self._first):
            self._name = "failed before"
        elif self._plain() and not isinstance(self._strategy, Fifo):
            self._search()
        return self._result()

    def _try(self, recorded: Iterable[list[int]]) -> bool:
        """Run recorded schedules; whether all passed."""
        for picks in recorded:
            self._ran += 1
            result = self._follow(picks)
            if result.failed:
                self._failed = result
                return False
        return True

    def _follow(self, picks: Iterable[int], tracer: Tracer | None = None) -> Run:
        strategy = Replay(picks)
        return run(self._scenario, strategy, self._settings, follow=True, tracer=tracer)

    def _plain(self) -> bool:
        """Run the plain schedule, twice; whether it passed."""
        plain = run(self._scenario, Fifo(), self._settings)
        self._ran += 1
        # Other objects at other addresses: an order that depends on them should show.
        ballast = [object() for _ in range(1000)]
        again = self._follow([index for index, _ in plain.controller.picks])
        del ballast
        _compare(plain, again)
        if plain.failed:
            self._failed = plain
        return not plain.failed

    def _search(self) -> None:
        def report(result: Run) -> bool:
            self._ran += 1
            if result.failed:
                self._failed = result
            return not result.failed and self._goes_on()

        if not self._goes_on() or search(self._scenario, self._strategy, self._settings, report):
            return
        while self._failed is None and self._goes_on() and self._strategy.begin():
            result = run(self._scenario, self._strategy, self._settings)
            self._strategy.end(result.controller.picks, result.failed)
            report(result)

    def _goes_on(self) -> bool:
        late = self._seconds is not None and time.perf_counter() - self._began >= self._seconds
        return self._ran < self._schedules and not late

    def _result(self) -> Exploration:
        seconds = time.perf_counter() - self._began
        exhaustive = self._strategy if isinstance(self._strategy, Exhaustive) else None
        found = failure = None
        tried = 0
        if self._failed is not None:
            confirmed = self._confirm(self._failed)
            shrinker = Shrinker(self._scenario, self._settings)
            simplest = shrinker.shrink(confirmed)
            tried = shrinker.tried
            found, failure = schedule_of(confirmed), self._traced(simplest)
        return Exploration(
            schedules=self._ran,
            strategy=self._name,
            seed=self._seed,
            exhausted=exhaustive is not None and exhaustive.exhausted and found is None,
            bound=None if exhaustive is None else exhaustive.bound,
            seconds=seconds,
            failure=failure,
            found=found,
            shrinking=tried,
        )

    def _confirm(self, failed: Run) -> Run:
        """Run it again, in a run of its own."""
        again = self._follow([index for index, _ in failed.controller.picks])
        _compare(failed, again)
        return again

    def _traced(self, simplest: Run) -> Schedule:
        """Run it again, and note the lines."""
        tracer = Tracer()
        again = self._follow([index for index, _ in simplest.controller.picks], tracer)
        _compare(simplest, again)
        return schedule_of(again, tracer)


def _compare(recorded: Run, again: Run) -> None:
    """The same decisions must have led to the same."""
    for what, first, second in (
        ("step", recorded.controller.steps, again.controller.steps),
        ("completion", recorded.controller.inbox.delivered, again.controller.inbox.delivered),
    ):
        for number, (one, other) in enumerate(_zipped(first, second), 1):
            if one != other:
                raise _diverged(f"{what} {number} was {one}, and then {other}", recorded, again)
    ends = [None if one.error is None else signature(one.error) for one in (recorded, again)]
    if ends[0] != ends[1]:
        texts = ["passed" if one.error is None else repr(one.error) for one in (recorded, again)]
        raise _diverged(f"it ended differently: {texts[0]}, and then {texts[1]}", recorded, again)


def _zipped(first: list[str], second: list[str]) -> Iterable[tuple[str, str]]:
    length = max(len(first), len(second))
    ended = ["the end"]
    return zip(
        first + ended * (length - len(first)),
        second + ended * (length - len(second)),
        strict=True,
    )


def _diverged(what: str, recorded: Run, again: Run) -> Diverged:
    error = Diverged(
        f"the same decisions led to something else: {what}. Something in the scenario is not"
        " controlled: an iteration over a set, randomness without a seed, the wall clock,"
        " or state that outlives a schedule",
    )
    error.__cause__ = recorded.error or again.error
    return error


def _explain(error: BaseException, result: Exploration, failure: Schedule) -> None:
    found = result.found
    assert found is not None
    shrunk = (
        f"shrunk from {found.preemptions} to {failure.preemptions} preemptions"
        f" and {found.switches} to {failure.switches} switches in {result.shrinking} runs"
    )
    lines = [
        f"schedule {result.schedules} ({result.strategy}, seed {result.seed}) · {shrunk}",
        f"virtual time {failure.duration:g} s",
        failure.table(),
        "* the schedule leaves a task here that could have gone on",
        f"replay: {overrides().command(failure.token)}",
    ]
    error.add_note("\n".join(lines))

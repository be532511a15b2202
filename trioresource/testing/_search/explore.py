"""Explore: run a scenario in many schedules, and report the first that fails."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any, Final, ParamSpec, final, overload

import attrs
import trio

from .._report.exploration import Exploration, explain
from .._report.schedule import schedule_of
from .._report.tokens import decode
from .._scheduling.findings import Diverged
from .._scheduling.overrides import overrides, replayed_by
from .._scheduling.running import Run, Scenario, Settings, run, search
from .._scheduling.tracing import Tracer
from .compare import compare, diverged
from .exhaustive import Exhaustive
from .parallel import Share, can_divide, divide
from .portfolio import make_strategy
from .replay import Replay
from .shrink import Shrinker
from .strategies import Fifo

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from .._scheduling.strategy import Strategy

P = ParamSpec("P")


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
    jobs: int = 1,
    replay: str | None = None,
    check: bool = True,
) -> Exploration:
    """Run a scenario in many schedules, until one fails.

    A schedule decides which task goes next whenever more than one could. The first schedule
    is the plain one, in which the task goes that has waited longest. It runs twice, to find
    out whether the scenario does the same when the same is decided. Time is virtual: it
    starts at zero with each schedule, and jumps to the next deadline when all tasks wait.

    Args:
        scenario: an async function without arguments. It is called anew for each schedule,
            and must itself make all that it uses.
        schedules: the largest number of schedules to run.
        strategy: what chooses the schedules. ``auto``: several strategies in turn. ``random``,
            ``pos``, ``pct:DEPTH``, ``urw``: that one. ``exhaustive``: every schedule;
            ``exhaustive:N``: every schedule with at most N preemptions; both end when there is
            none left. ``fifo``: only the plain schedule. Or a ``Strategy`` object.
        seed: the seed of the strategy; the same seed gives the same schedules.
        timers: whether the next deadline may expire while tasks could run, as it may on a
            slow computer.
        cancel: whether the body of ``cancellable()`` may be cancelled at any moment.
        seconds: after so many real seconds the search begins no other schedule.
        max_steps: a schedule with more steps fails as ``Livelock``.
        jobs: how many processes share the search. They are forks of this process, so that
            this process does not see what the scenario does to objects outside of itself.
            One process searches if the schedules have an order (``exhaustive``, a
            ``Strategy`` object), if this process has other threads, or if the system has no
            ``fork()``.
        replay: the token of a schedule: only that schedule runs, once, and if it fails once
            more for the report. It is not shrunk.
        check: whether to raise the error of the schedule that failed. Otherwise it is in the
            result, and the pytest plugin does not remember the schedule.

    Returns:
        What was done.

    Raises:
        BaseException: the error of the schedule that failed, as the scenario raised it,
            with a note that shows the simplest such schedule and how to replay it.
        Deadlock: every task waits, and nothing will happen.
        Livelock: the schedule does not end.
        Uncontrolled: a task waits for something that no schedule controls.
        Diverged: the same decisions led to another run.
        ValueError: an argument is wrong.
        RuntimeError: this thread runs Trio already.

    Note:
        While schedules run, this changes state of the whole process, and restores it however
        it ends. Python's automatic garbage collection is off, because a finaliser that runs
        at a moment of its own would make two runs of one schedule differ; ``explore()``
        itself collects what the schedules leave. While a schedule is replayed for a report,
        ``sys.settrace()`` is set. With ``jobs``, Python's own handler of SIGINT is replaced.
    """
    if trio.lowlevel.in_trio_run():
        raise RuntimeError(
            "explore() runs Trio by itself, many times; call it from a function that is not"
            " async, or decorate the async test with @explored() instead"
        )
    settings = Settings(timers=timers, cancel=cancel, max_steps=max_steps)
    explorer = _Explorer(
        scenario,
        settings=settings,
        schedules=schedules,
        strategy=strategy,
        seed=seed,
        seconds=seconds,
        jobs=jobs,
        replay=replay,
        remembered=overrides().failed_before if check else (),
    )
    result = explorer.explore()
    failure = result.failure
    # With check=False the caller looks at the result: a failure is not that of the test.
    token = None if failure is None or not check else failure.token
    overrides().explored(str(result), token)
    if failure is None or not check:
        return result
    error = failure.error
    assert error is not None
    with replayed_by(functools.partial(_command, settings)):
        explain(error, result, failure, overrides().command(failure.token))
    try:
        raise error
    finally:
        # The frame holds the error, which holds the frame.
        del error, failure, result, explorer


def _command(settings: Settings, token: str) -> str:
    """Return the call that replays a schedule: a token holds in the same settings only."""
    plain = attrs.asdict(Settings())
    given = {name: value for name, value in attrs.asdict(settings).items() if value != plain[name]}
    options = "".join(f", {name}={value!r}" for name, value in given.items())
    return f"replay(scenario, {token!r}{options})"


def replay(scenario: Scenario, token: str, **options: Any) -> Exploration:
    """Run one schedule again: once, and if it fails once more for the report.

    Args:
        scenario: the scenario of the exploration that reported the token.
        token: the schedule.
        options: the other arguments of ``explore`` as they were, such as ``timers``.

    Returns:
        What was done, if the schedule passed.

    Raises:
        BaseException: as ``explore`` does.
    """
    return explore(scenario, replay=token, **options)


@overload
def explored(test: Callable[P, Awaitable[Any]], /) -> Callable[P, None]: ...


@overload
def explored(**options: Any) -> Callable[[Callable[P, Awaitable[Any]]], Callable[P, None]]: ...


def explored(test: Any = None, /, **options: Any) -> Any:
    """Run an async test in many schedules.

    Args:
        test: the test.
        options: the arguments of ``explore``.

    Returns:
        A test that is not async, takes the same arguments, and runs under any test runner.
        Each schedule is given the same arguments.
    """
    if test is None:
        return functools.partial(explored, **options)

    @functools.wraps(test)
    def explore_test(*args: Any, **kwargs: Any) -> None:
        with replayed_by(lambda token: f"@explored(..., replay={token!r})"):
            explore(functools.partial(test, *args, **kwargs), **options)

    # The pytest plugin knows such a test by this attribute, so it need not import this module.
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
        jobs: int,
        replay: str | None,
        remembered: Iterable[str],
    ) -> None:
        over = overrides()
        self._scenario: Final = scenario
        self._settings: Final = settings
        self._schedules = schedules if over.schedules is None else over.schedules
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
        jobs = jobs if over.jobs is None else over.jobs
        for name, value in (
            ("schedules", self._schedules),
            ("max_steps", settings.max_steps),
            ("jobs", jobs),
        ):
            if value < 1:
                raise ValueError(f"{name}: 1 at least, not {value}")
        ordered = not isinstance(strategy, str) or isinstance(self._strategy, Exhaustive | Fifo)
        self._jobs: Final = 1 if ordered or jobs == 1 or not can_divide() else jobs
        self._first: Final = tuple(map(decode, remembered))
        self._ran = 0
        self._before: Final[set[tuple[tuple[int, int], ...]]] = set()
        """The schedules that passed before the search, and did not come up in it."""
        self._began = time.perf_counter()
        self._failed: Run | None = None
        self._is_needed: Callable[[], bool] = lambda: True

    def explore(self) -> Exploration:
        """Run the schedules."""
        if self._replay is not None:
            self._name = "replay"
            self._try([decode(self._replay)])
        elif not self._try(self._first, must_fit=False):
            self._name = "failed before"
        elif self._plain() and not isinstance(self._strategy, Fifo):
            if self._jobs == 1:
                self._search()
            elif self._is_to_go_on():
                self._divide()
        return self._result()

    def _try(self, recorded: Iterable[list[int]], *, must_fit: bool = True) -> bool:
        """Run recorded schedules; say whether all passed."""
        for picks in recorded:
            result = self._follow(picks)
            if isinstance(result.error, Diverged) and not must_fit:
                # The test, or what it tests, has changed since.
                continue
            if not self._passes(result):
                return False
        return True

    def _passes(self, first: Run) -> bool:
        """Count a schedule that runs before the search; say whether it passed."""
        self._before.add(tuple(first.controller.picks))
        self._ran = len(self._before)
        if first.failed:
            self._failed = first
        return not first.failed

    def _follow(self, picks: Iterable[int], tracer: Tracer | None = None) -> Run:
        strategy = Replay(picks)
        return run(self._scenario, strategy, self._settings, follow=True, tracer=tracer)

    def _again(self, recorded: Run, tracer: Tracer | None = None) -> Run:
        """Run a schedule once more, in a run of its own."""
        again = self._follow([index for index, _ in recorded.controller.picks], tracer)
        compare(recorded, again)
        return again

    def _plain(self) -> bool:
        """Run the plain schedule twice; say whether it passed."""
        plain = run(self._scenario, Fifo(), self._settings)
        # Objects get other addresses the second time, so that an order that depends on
        # addresses shows.
        ballast = [object() for _ in range(1000)]
        self._again(plain)
        del ballast
        return self._passes(plain)

    def _divide(self) -> None:
        """Let other processes search, and follow the schedule that they found."""
        ran, picks = divide(self._jobs, self._search_share)
        self._ran += ran
        if picks is not None:
            self._failed = self._follow(picks)
            if not self._failed.failed:
                raise diverged("it failed in a process of the search, and then passed")

    def _search_share(self, number: int, is_needed: Callable[[int], bool]) -> Share:
        """Search in one of the processes, with that process's copy of this object."""
        before = self._ran
        if number:
            self._strategy = make_strategy(self._name, f"{self._seed} {number}")
        self._schedules = (
            before + (self._schedules - before + self._jobs - 1 - number) // self._jobs
        )
        self._is_needed = lambda: is_needed(self._ran - before)
        self._search()
        failed = None if self._failed is None else self._failed.controller.picks
        return Share(self._ran - before, None if failed is None else [pick for pick, _ in failed])

    def _search(self) -> None:
        def report(result: Run) -> bool:
            self._count(result)
            if result.failed:
                self._failed = result
            return not result.failed and self._is_to_go_on()

        if not self._is_to_go_on():
            return
        if search(self._scenario, self._strategy, self._settings, report):
            return
        while self._failed is None and self._is_to_go_on() and self._strategy.begin():
            result = run(self._scenario, self._strategy, self._settings)
            self._strategy.end(result.controller.picks, result.failed)
            report(result)

    def _count(self, result: Run) -> None:
        """Count a schedule of the search, unless it ran before the search as well."""
        if self._before and isinstance(self._strategy, Exhaustive):
            picks = tuple(result.controller.picks)
            if picks in self._before:
                self._before.remove(picks)
                return
        self._ran += 1

    def _is_to_go_on(self) -> bool:
        late = self._seconds is not None and time.perf_counter() - self._began >= self._seconds
        return self._ran < self._schedules and not late and self._is_needed()

    def _result(self) -> Exploration:
        seconds = time.perf_counter() - self._began
        exhaustive = self._strategy if isinstance(self._strategy, Exhaustive) else None
        found = failure = None
        tried = 0
        if self._failed is not None:
            first = simplest = self._failed
            if self._replay is None:
                # What is reported comes from a run of its own.
                first = self._again(first)
                shrinker = Shrinker(self._scenario, self._settings)
                simplest = shrinker.shrink(first)
                tried = shrinker.tried
            tracer = Tracer()
            found, failure = schedule_of(first), schedule_of(self._again(simplest, tracer), tracer)
        exhausted = exhaustive is not None and exhaustive.exhausted and found is None
        return Exploration(
            schedules=self._ran,
            strategy=self._name,
            seed=self._seed,
            exhausted=exhausted,
            bound=None if exhaustive is None else exhaustive.bound,
            beyond=len(self._before) if exhausted else 0,
            seconds=seconds,
            jobs=self._jobs,
            failure=failure,
            found=found,
            shrinking=tried,
        )

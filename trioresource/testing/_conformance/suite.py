"""Run the checks on a handler."""

from __future__ import annotations

import contextlib
import functools
import gc
import logging
import time
import warnings
from typing import TYPE_CHECKING, Any, Final

import attrs
import trio

from ..._handler import ResourceHandler, Service
from ..._model.properties import read_properties
from .._leaks import no_leaks
from .._report.schedule import schedule_of
from .._scheduling.findings import Leaked, Uncontrolled, is_finding
from .._scheduling.overrides import Overrides, overridden, overrides
from .._scheduling.running import Settings, run
from .._search.explore import explore
from .cases import Cases
from .catalogue import CHECKS, read_skips, select
from .check import NotApplicable
from .harness import open_harness
from .report import CheckResult, ConformanceReport, Verdict
from .subject import FAKE_SCHEDULES, REAL_SCHEDULES, Kill, Subject, Surroundings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ..._handler import HandlerFactory
    from .check import Check

_MAX_SCHEDULES: Final = 1_000_000
"""Schedules of one check; the number of its cases ends it long before."""
_PER_WAIT: Final = 20
"""The schedules of a check are divided by this for each wait of a sweep, which has many waits."""
_PLAIN_RUN_LIMIT: Final = 300.0
"""Real seconds after which a run without a schedule is cancelled; a hang would never end."""
_HINT: Final = (
    "it waits for something outside of Trio that no schedule controls: check it with real=True"
    " (--real), where such waits take real time"
)


def check_handler(
    handler: HandlerFactory,
    *,
    properties: Mapping[str, Any] | None = None,
    failing: Mapping[str, Any] | None = None,
    skip: Mapping[str, str] | None = None,
    only: Iterable[str] | None = None,
    real: bool = False,
    schedules: int | None = None,
    surroundings: Surroundings = contextlib.nullcontext,
    kill: Kill | None = None,
    replay: str | None = None,
) -> ConformanceReport:
    """Check whether a handler keeps the contract of the lifecycle.

    The handler is hosted in a resource monitor, as in a program, and each check runs in many
    schedules. The page "Handler conformance" lists the checks.

    Args:
        handler: a handler class, ``service(...)``, or anything that makes a handler.
        properties: properties with which it can come online.
        failing: properties with which it cannot; C5 then tries them as well.
        skip: ids of checks that are not to run, each with the reason.
        only: ids of the checks to run; all by default.
        real: whether the handler has real processes, threads or connections. What it awaits
            through ``external()`` is delivered as a schedule decides. Where it awaits the
            outside by other means, the checks run a few times on the real clock.
        schedules: the number of schedules for each check, shared by its variants; 40 by
            default, 3 if real. Each case runs in the plain schedule in any case. At each wait
            of a sweep a twentieth of the number runs. Where every schedule with one preemption
            counts, as many of these run in addition.
        surroundings: makes an async context manager in which each schedule runs: what must
            be there before the handler, such as a fake of what it connects to.
        kill: breaks what the resource stands for, as if from outside. By default, each
            ``FakeProcess`` and each child process is killed that was started meanwhile.
        replay: the token of a failed schedule; ``only`` must then name its check.

    Returns:
        The results. A check that fails is in them; its error is not raised.

    Raises:
        ValueError: an id is unknown, a reason is empty, a number is too small, or
            ``replay`` is given without exactly one check.
        PropertyError: the handler class does not accept the properties.

    Note:
        While checks run, this changes state of the whole process, as ``explore()`` does, and
        restores it however it ends: the logger ``trioresource`` is silent, and C19 sets the
        directory for temporary files.
    """
    checks = select(only)
    reasons = read_skips(skip or {})
    if replay is not None and len(checks) != 1:
        raise ValueError("a token belongs to one check: name that check with only=")
    if isinstance(handler, type) and issubclass(handler, ResourceHandler):
        defaults = handler.type_info.property_defaults
        read_properties(handler.properties_type, defaults, properties or {}, owner=_name(handler))
    subject = make_subject(
        handler,
        properties=properties,
        failing=failing,
        real=real,
        schedules=schedules,
        surroundings=surroundings,
        kill=kill,
    )
    results = []
    # A check that measures comes first: if it finds the handler slow, the others run less often.
    for check in sorted(checks, key=lambda check: not check.once):
        if check.id in reasons:
            results.append(_result(check, Verdict.SKIPPED, reasons[check.id]))
            continue
        with overridden(_overrides(check, replay)):
            results.append(_judge(check, subject))
        if check.once and results[-1].verdict is Verdict.FAILED:
            # Each schedule would be as slow.
            subject = attrs.evolve(subject, schedules=1)
    order = list(CHECKS)
    results.sort(key=lambda result: order.index(result.id))
    return ConformanceReport(handler=_name(handler), results=tuple(results))


def make_subject(
    handler: HandlerFactory,
    *,
    properties: Mapping[str, Any] | None = None,
    failing: Mapping[str, Any] | None = None,
    real: bool = False,
    schedules: int | None = None,
    surroundings: Surroundings = contextlib.nullcontext,
    kill: Kill | None = None,
) -> Subject:
    """Make the subject of the checks; the arguments are those of ``check_handler``."""
    if schedules is not None and schedules < 1:
        raise ValueError(f"schedules: 1 at least, not {schedules}")
    subject = Subject(
        handler=handler,
        properties=dict(properties or {}),
        failing=None if failing is None else dict(failing),
        surroundings=surroundings,
        kill=kill,
        real=real,
        schedules=schedules or (REAL_SCHEDULES if real else FAKE_SCHEDULES),
    )
    return attrs.evolve(subject, controlled=_is_controlled(subject)) if real else subject


def _is_controlled(subject: Subject) -> bool:
    """Say whether schedules decide all that the handler waits for."""

    async def scenario() -> None:
        case = Cases(("",), strategies=(), sweeping=()).draw(explored=False)
        async with open_harness(subject, case) as harness:
            await harness.come_online()
            await harness.ask_now()
            await harness.go_offline()

    with overridden(Overrides()):
        try:
            explore(scenario, strategy="fifo")
        except Uncontrolled:
            return False
        except Exception:
            # The checks will find what is wrong with it.
            return True
    return True


def run_check(check: Check, subject: Subject) -> str:
    """Run one check.

    Args:
        check: the check.
        subject: what is checked.

    Returns:
        What was done, in words.

    Raises:
        NotApplicable: the handler has nothing that the check could look at.
        BaseException: the error that was found, with a note on the schedule.
    """
    with _quiet():
        variants = check.variants(subject)
        if not subject.controlled:
            return _run_plainly(check, subject, variants)
        if not subject.real:
            return _run_explored(check, subject, variants)
        return _run_real(check, subject, variants)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Log nothing in the body: the checks cause the same failures thousands of times."""
    logger = logging.getLogger("trioresource")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _nothing_unclosed() -> Iterator[None]:
    """Fail if the body leaves anything that only the garbage collector closes."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        yield
        gc.collect(0)
    left = [str(warned.message) for warned in seen if issubclass(warned.category, ResourceWarning)]
    if left:
        raise Leaked(f"left to the garbage collector: {'; '.join(left)}")


def _run_explored(check: Check, subject: Subject, variants: Sequence[str]) -> str:
    schedules = subject.schedules
    strategies = [("auto", schedules // len(variants))]
    if check.thorough and not subject.real:
        strategies.insert(0, ("exhaustive:1", schedules))
    cases = Cases(variants, strategies=strategies, sweeping=[("auto", schedules // _PER_WAIT)])

    async def scenario() -> None:
        # Otherwise no_leaks() would look through what earlier schedules have left as garbage.
        gc.collect(0)
        async with no_leaks():
            await check.body(subject, cases.draw())

    try:
        most = 1 if check.once else _MAX_SCHEDULES
        done = explore(scenario, schedules=most, strategy=cases, timers=check.timers)
    except Uncontrolled as error:
        error.add_note(_HINT)
        raise
    if cases.measured:
        raise AssertionError(cases.measured)
    return f"{cases.count or 1} cases, {done.schedules} schedules"


def _run_real(check: Check, subject: Subject, variants: Sequence[str]) -> str:
    """Run schedules without comparing runs: the operating system decides as well."""
    if check.id == "C22":
        raise NotApplicable("the operating system decides as well")
    each = [] if check.once else [("auto", subject.schedules // len(variants))]
    cases = Cases(variants, strategies=each, sweeping=())

    async def scenario() -> None:
        async with no_leaks():
            await check.body(subject, cases.draw())

    token = overrides().token
    if token is not None:
        return str(explore(scenario, timers=check.timers, replay=token))
    schedules = 0
    while cases.begin():
        with _nothing_unclosed():
            done = run(scenario, cases, Settings(timers=check.timers))
        schedules += 1
        cases.end(done.controller.picks, done.failed)
        if done.error is not None:
            schedule = schedule_of(done)
            command = overrides().command(schedule.token)
            done.error.add_note(f"{schedule.table()}\nreplay, if time allows: {command}")
            raise done.error
    if cases.measured:
        raise AssertionError(cases.measured)
    return f"{cases.count} cases, {schedules} schedules"


def _run_plainly(check: Check, subject: Subject, variants: Sequence[str]) -> str:
    """Run each case once on the real clock, in whatever order things come."""
    if check.id in _NEED_CONTROL:
        raise NotApplicable("it waits for something outside of Trio that no schedule controls")
    cases = Cases(variants, strategies=(), sweeping=())

    async def scenario() -> None:
        case = cases.draw(explored=False)
        with trio.fail_after(_PLAIN_RUN_LIMIT):
            try:
                async with no_leaks():
                    await check.body(subject, case)
            except Exception as error:
                at = f", wait {case.wait}" if case.sweeps else ""
                where = f"case {case.variant!r}{at}, on the real clock"
                error.add_note(f"{where}: there is no schedule to replay")
                raise

    while cases.begin():
        with _nothing_unclosed():
            trio.run(scenario)
        cases.end((), failed=False)
    if cases.measured:
        raise AssertionError(cases.measured)
    return f"{cases.count} cases, each once on the real clock"


_NEED_CONTROL: Final = ("C3", "C4", "C21", "C22")
"""Checks that look only at what a schedule decides."""


def _judge(check: Check, subject: Subject) -> CheckResult:
    began = time.perf_counter()
    verdict, detail, found = Verdict.PASSED, "", None
    try:
        detail = run_check(check, subject)
    except NotApplicable as reason:
        verdict, detail = Verdict.NOT_APPLICABLE, str(reason)
    except BaseException as error:  # noqa: ASYNC103 - nothing here is awaited
        if not is_finding(error):
            raise
        verdict, detail, found = Verdict.FAILED, _explain(error), error
    seconds = time.perf_counter() - began
    return _result(check, verdict, detail, seconds=seconds, error=found)


def _result(
    check: Check,
    verdict: Verdict,
    detail: str,
    *,
    seconds: float = 0.0,
    error: BaseException | None = None,
) -> CheckResult:
    return CheckResult(
        id=check.id,
        protects=check.protects,
        verdict=verdict,
        detail=detail,
        seconds=seconds,
        error=error,
    )


def _explain(error: BaseException) -> str:
    parts = [f"{type(error).__name__}: {error}"]
    if isinstance(error, BaseExceptionGroup):
        parts += [f"  {type(inner).__name__}: {inner}" for inner in error.exceptions]
    return "\n".join([*parts, *getattr(error, "__notes__", ())])


def _overrides(check: Check, replay: str | None) -> Overrides:
    return attrs.evolve(
        overrides(),
        token=replay,
        command=lambda token: (
            f"check_handler(..., only=[{check.id!r}], replay={token!r})"
            f" or test-handler ... --check {check.id} --schedule {token}"
        ),
    )


def _name(handler: HandlerFactory) -> str:
    if isinstance(handler, Service):
        return f"service {_place(handler.fn)}"
    return _place(handler)


def _place(function: Callable[..., object]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    return f"{module}:{name}" if name else repr(function)

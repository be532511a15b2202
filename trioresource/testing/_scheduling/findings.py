"""The errors that the kit raises by itself, beyond those that a test raises.

All are ``AssertionError``: the code under test, or the test, is at fault. Each class says
which.
"""

from __future__ import annotations

from typing import Final


class Deadlock(AssertionError):
    """Every task waits, no deadline is left, and nothing outside is awaited.

    The code under test is at fault. The notes show where each task waits.
    """


class Livelock(AssertionError):
    """The schedule did not end within ``max_steps``, though every task got its turns.

    The code under test is at fault, or the bound is too small for it.
    """


class Leaked(AssertionError):
    """Something was left behind: a task, process, descriptor, thread or memory channel.

    The code under test is at fault. Also raised when what ``external()`` awaits goes on for
    30 real seconds after it was cancelled. Mostly that is a thread or a process, and a
    program would wait for it as well. It is not ``Uncontrolled``: the kit knows of the wait,
    and no order of events depends on it.
    """


class Diverged(AssertionError):
    """The same decisions led to another run: something in the test is not controlled.

    The test is at fault, or the code under test: an iteration over a set, randomness
    without a seed, the wall clock, state that outlives a schedule.
    """


class Uncontrolled(AssertionError):
    """A task waits for something outside of Trio, and no schedule controls when it comes.

    The test is at fault. Put such a wait into ``external()``, or use a fake.
    """


class Abandoned(BaseException):
    """End a task that waits for ever and that cancellation does not end.

    Not a finding: the schedule has failed before this is raised.
    """


# Known by name, so that neither unittest nor Hypothesis need be imported.
_SIGNALS: Final = frozenset(
    {
        ("unittest.case", "SkipTest"),
        ("hypothesis.errors", "UnsatisfiedAssumption"),
        ("hypothesis.errors", "StopTest"),
    },
)
# pytest.fail() raises no Exception, and its class claims to be a builtin.
_FAILED_IN_PYTEST: Final = ("builtins", "Failed")


def is_finding(error: BaseException) -> bool:
    """Say whether an error means that a schedule failed.

    An interruption of the program does not, nor does an error that tells a test runner to
    skip a test or to drop an example: these pass through untouched.
    """
    kinds = {(cls.__module__, cls.__name__) for cls in type(error).__mro__}
    if isinstance(error, BaseExceptionGroup):
        return all(is_finding(inner) for inner in error.exceptions)
    if isinstance(error, Exception):
        return kinds.isdisjoint(_SIGNALS)
    return _FAILED_IN_PYTEST in kinds

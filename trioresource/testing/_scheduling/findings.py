"""What the kit finds by itself, beyond the errors that a test raises.

All are ``AssertionError``: the code under test, or the test, is at fault, unless the class
says otherwise.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Deadlock", "Diverged", "Leaked", "Livelock", "Uncontrolled", "is_finding"]


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

    The code under test is at fault. Also raised when what ``external()`` awaits goes on 30
    real seconds after it was cancelled: that is a task, mostly with a thread or process,
    which a program would wait for as well. It is not ``Uncontrolled``, because the kit knows
    of it, and no order of events depends on it.
    """


class Diverged(AssertionError):
    """The same decisions led to another run: something in the test is not controlled.

    The test is at fault, or the code under test: an iteration over a set, randomness
    without a seed, the wall clock, state that outlives a schedule.
    """


class Uncontrolled(AssertionError):
    """A task waits for something outside of Trio, whose order nobody controls.

    The test is at fault: such a wait belongs into ``external()``, or behind a fake.
    """


# Classes that tell a test runner something, known by name so that none need be imported.
_SIGNALS: Final = frozenset(
    {
        ("unittest.case", "SkipTest"),
        ("hypothesis.errors", "UnsatisfiedAssumption"),
        ("hypothesis.errors", "StopTest"),
    },
)
# pytest.fail(): no Exception, and said to be a builtin.
_FAILED_IN_PYTEST: Final = ("builtins", "Failed")


def is_finding(error: BaseException) -> bool:
    """Whether an error says that a schedule failed.

    Not so the interruption of the program, and what tells a test runner to skip a test
    or to drop an example: those go through untouched.
    """
    kinds = {(cls.__module__, cls.__name__) for cls in type(error).__mro__}
    if isinstance(error, BaseExceptionGroup):
        return all(is_finding(inner) for inner in error.exceptions)
    if isinstance(error, Exception):
        return kinds.isdisjoint(_SIGNALS)
    return _FAILED_IN_PYTEST in kinds

"""End the cluster when a resource that the program cannot be without has given up."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, final

import trio

from .._errors import ResourceGaveUp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._model.policy import StayFailed
    from .._model.reports import FailureReport

OnGiveUp = Literal["stay-failed", "raise"]
"""What to do when the budget of restarts of a resource is spent."""

_CHOICES: Final = ("stay-failed", "raise")


def check_on_give_up(value: Any) -> None:
    """Check an argument ``on_give_up``.

    Raises:
        ValueError: it is neither of the two.
    """
    if not (isinstance(value, str) and value in _CHOICES):
        raise ValueError(f'on_give_up must be "stay-failed" or "raise", not {value!r}')


@final
class Escalation:
    """Cancels the block of a cluster, once, and raises the reason when all is offline.

    Args:
        body: the scope of the block.
        default: for the resources that do not say what to do.
    """

    def __init__(self, body: trio.CancelScope, default: OnGiveUp) -> None:
        self._body = body
        self._default: OnGiveUp = default
        self._error: ResourceGaveUp | None = None

    def gave_up(
        self, name: str, report: FailureReport, decision: StayFailed, action: OnGiveUp | None
    ) -> None:
        """Note that a resource has given up. Never blocks, never raises.

        Args:
            name: the name of the resource.
            report: its last failure.
            decision: what was decided about that.
            action: what to do; None for the default of the cluster.
        """
        if (action or self._default) != "raise":
            return
        count = f"{decision.failures} failure{'' if decision.failures == 1 else 's'}"
        if self._error is None:
            self._error = ResourceGaveUp(f"{name} gave up after {count}: {report}", name)
            # As "raise ... from" sets it: here the error is only made.
            self._error.__cause__ = report.error
        elif self._error.resource != name:
            self._error.add_note(f"{name} gave up, too, after {count}: {report}")
        self._body.cancel()

    @contextmanager
    def raised_at_the_end(self) -> Iterator[None]:
        """Raise the reason when the block has ended, together with other errors of the block.

        The block holds the whole cluster, so that everything is offline by then.
        """
        try:
            yield
        except BaseException as error:
            if self._error is None:
                raise
            others = _without_cancelled(error)
            if others is None:
                # The surroundings were cancelled as well; this error unwinds them, too.
                raise self._error from self._error.__cause__  # noqa: ASYNC104 - see above
            text = "a resource gave up, and its cluster ended with other errors"
            raise BaseExceptionGroup(text, [self._error, others]) from None  # noqa: ASYNC104 - in it
        if self._error is not None:
            raise self._error from self._error.__cause__


def _without_cancelled(error: BaseException) -> BaseException | None:
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)[1]
    return None if isinstance(error, trio.Cancelled) else error

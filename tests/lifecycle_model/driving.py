"""What the drivers of monitor and cluster have in common: asking, observing, deviating."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import trio

from tests.lifecycle_model.observations import (
    Answered,
    Ask,
    Asked,
    ClusterObservation,
    Deviation,
    Told,
)
from tests.lifecycle_model.requests import CANCELLED, DONE, INERT
from trioresource._errors import TrioResourceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Driver"]

_SHOWN: Final = 16
"""So many of the last observations are shown with a deviation."""


class _Model(Protocol):
    def see(self, seen: Any) -> Any: ...


ModelT = TypeVar("ModelT", bound=_Model)


class Driver(Generic[ModelT]):
    """Tells a model what happens, in order.

    Args:
        model: what has to happen.
        receive: gives the next report without waiting, or raises ``trio.WouldBlock`` or
            ``trio.EndOfChannel``.
    """

    def __init__(self, model: ModelT, receive: Callable[[], Any]) -> None:
        self.model: ModelT = model
        self.scope: Final = trio.CancelScope()
        """Is cancelled at the first deviation."""
        self.seen: Final[list[ClusterObservation]] = []
        self._receive = receive
        self._number = 0
        self._deviation: Deviation | None = None

    def drain(self) -> None:
        """Tell the model what reports have come."""
        while True:
            try:
                report = self._receive()
            except (trio.WouldBlock, trio.EndOfChannel):
                return
            self._note(Told(report, trio.current_time()))

    def see(self, seen: ClusterObservation) -> None:
        """Tell the model, after the reports that came before."""
        self.drain()
        self._note(seen)

    def check(self, check: Callable[[], object]) -> None:
        """Have the model check something."""
        try:
            if self._deviation is None:
                check()
        except Deviation as deviation:
            self._deviates(deviation)

    def end(self) -> None:
        """Raise the deviation, if there was one."""
        if self._deviation is not None:
            raise self._deviation

    def _note(self, seen: ClusterObservation) -> None:
        if self._deviation is not None:
            return
        self.seen.append(seen)
        try:
            self.model = self.model.see(seen)
        except Deviation as deviation:
            self._deviates(deviation)

    def _deviates(self, deviation: Deviation) -> None:
        """Keep it: raised in a handler, it would be a failure of the resource."""
        deviation.add_note("\n".join(map(str, self.seen[-_SHOWN:])))
        self._deviation = deviation
        self.scope.cancel()

    # --- asking --------------------------------------------------------------------------

    async def ask(
        self,
        what: Ask,
        resource: str,
        call: Callable[[], Awaitable[Any]],
        *,
        patience: float | None = None,
    ) -> str:
        """Ask for something, and wait for the answer.

        Args:
            what: what the model is told.
            resource: whom it is asked of.
            call: what to call.
            patience: after so many seconds the caller is cancelled.

        Returns:
            The answer: a state, the name of an error, ``DONE`` or ``CANCELLED``.
        """
        number = self.asked(what, resource)
        answer = CANCELLED
        # What is called waits.
        with trio.move_on_after(inf if patience is None else patience):  # noqa: ASYNC912
            try:
                value = await call()
                answer = getattr(value, "value", value) or DONE
            except (TrioResourceError, TimeoutError, RuntimeError) as error:
                answer = type(error).__name__
        self.see(Answered(resource, number, answer, trio.current_time()))
        return answer

    def asked(self, what: Ask, resource: str, *, epoch: int = 0, value: int = 0) -> int:
        """Tell the model that something is asked for; gives the request's number."""
        self._number += 1
        self.see(Asked(resource, what, self._number, trio.current_time(), epoch, value))
        return self._number

    def at_once(
        self, what: Ask, resource: str, call: Callable[[], Any], *, epoch: int = 0, value: int = 0
    ) -> None:
        """Ask for something that is answered at once."""
        number = self.asked(what, resource, epoch=epoch, value=value)
        try:
            answer = INERT if call() is False else DONE
        except TrioResourceError as error:
            answer = type(error).__name__
        self.see(Answered(resource, number, answer, trio.current_time()))

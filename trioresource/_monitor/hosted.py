"""A hosted resource: what the users of a monitor, and a cluster, may ask of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import attrs
import trio

from .._errors import (
    InvalidStateError,
    OfflineFailed,
    OnlineFailed,
    ResourceNotAvailable,
    ResourceStuck,
)
from .._model.reports import FailureReason, describe_error
from .._model.states import ResourceState
from .._util.arguments import check_members, check_seconds, check_text
from .._util.construction import NoPublicConstructor
from .._util.running import is_entry_point_of
from .._util.waiting import Watched, soft_deadline
from .attempt import Phase
from .entry_call import EntryCall

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._handler import ResourceHandler, ResourceType
    from .._model.policy import Deadlines
    from .._model.properties import Properties
    from .._model.reports import FailureReport
    from .instance import Instance


@attrs.frozen(kw_only=True)
class ResourceStatistics:
    """Figures about one hosted resource, as they were when asked for."""

    state: ResourceState
    epoch: int
    """How many attempts were begun."""
    failures: int
    """How many of them failed."""
    stuck: bool
    """Whether an attempt was terminated in vain and still runs."""
    looks_alive_polls: int
    is_alive_calls: int
    suspicions: int
    """How often ``looks_alive`` answered no."""
    inconclusive_calls: int
    """How often ``is_alive`` could not be carried out."""
    last_probe_seconds: float
    """How long the last ``is_alive`` took."""
    running: str | None
    """The entry point that runs."""


@final
class HostedResource(metaclass=NoPublicConstructor):
    """A handler in a monitor: its lifecycle as mechanism, without any policy.

    Made by ``ResourceMonitor.host``. The methods that begin with ``begin_`` never
    block; their outcome is reported. ``online`` and ``offline`` also wait, for no
    longer than the soft deadline.

    A cluster numbers the commands that it gives (``generation``). Each numbered command is
    answered by a report that carries the number: a ``StateChange``, or ``CommandTaken`` if it
    changed nothing or was refused.
    """

    __slots__ = ("_close_ended", "_closed", "_instance")

    def __init__(self, instance: Instance, closed: Callable[[HostedResource], None]) -> None:
        self._instance = instance
        self._closed = closed
        self._close_ended: trio.Event | None = None

    def __repr__(self) -> str:
        return f"<HostedResource {self.name!r} {self.state.value} epoch={self.epoch}>"

    # --- what it is --------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Its name, unique in the monitor."""
        return self._instance.name

    @property
    def instance(self) -> int:
        """The number of this instance, as its reports carry it; never used again."""
        return self._instance.instance

    @property
    def handler(self) -> ResourceHandler[Any]:
        """The handler that the monitor has made for it."""
        return self._instance.handler

    @property
    def type_info(self) -> ResourceType:
        """What holds for all resources of the type."""
        return self._instance.handler.type_info

    @property
    def properties_type(self) -> type[Properties]:
        """The class of its properties."""
        return self._instance.handler.properties_type

    @property
    def deadlines(self) -> Deadlines:
        """Its deadlines."""
        return self._instance.deadlines

    # --- how it is ---------------------------------------------------------------------

    @property
    def state(self) -> ResourceState:
        """Its state."""
        return self._instance.state

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way that will change the state by itself."""
        return self._instance.is_settled

    @property
    def is_ended(self) -> bool:
        """Whether no attempt is left, not even one that is being cleaned up."""
        return self._instance.attempt is None

    @property
    def is_closed(self) -> bool:
        """Whether no attempt can begin any more."""
        return self._instance.is_closed

    @property
    def epoch(self) -> int:
        """The number of the latest attempt; 0 before the first."""
        return self._instance.epoch

    @property
    def stuck(self) -> bool:
        """Whether the latest attempt was terminated in vain and still runs."""
        return self._instance.is_stuck

    @property
    def last_failure(self) -> FailureReport | None:
        """The latest failure, if there was any."""
        return self._instance.last_failure

    @property
    def properties(self) -> Properties:
        """The properties in use, as they were read at the last online."""
        properties: Properties = self._instance.handler.properties
        return properties

    @property
    def value(self) -> Any:
        """What the resource provides.

        Raises:
            ResourceNotAvailable: it is not online.
        """
        if self.state is not ResourceState.ONLINE:
            raise ResourceNotAvailable(f"{self.name} is {self.state.value}, not online")
        return self._instance.value

    def statistics(self) -> ResourceStatistics:
        """Get figures about this resource; never blocks."""
        instance, counts = self._instance, self._instance.counts
        return ResourceStatistics(
            state=instance.state,
            epoch=instance.epoch,
            failures=counts.failures,
            stuck=instance.is_stuck,
            looks_alive_polls=counts.looks_alive,
            is_alive_calls=counts.is_alive,
            suspicions=counts.suspicions,
            inconclusive_calls=counts.inconclusive,
            last_probe_seconds=counts.probe_seconds,
            running=instance.entry_lock.running,
        )

    # --- commands that do not wait -----------------------------------------------------

    def begin_online(self, generation: int | None = None, epoch: int | None = None) -> None:
        """Begin an attempt, or join the one that runs; one that is ending is followed.

        Args:
            generation: the number of the command, for a cluster; it is answered by a report
                and never refused by an error. By default it has none.
            epoch: with a number: which attempt is meant. A new one is begun under the next
                epoch, and only if the one before has ended. With the epoch of the latest
                attempt the command only confirms it: if it is over by then, the answer says
                so and nothing is begun. A monitor never follows a failure by itself: it would
                restart a provider before its dependents are down.

        Raises:
            InvalidStateError: the resource is closed or has not been opened.
            ResourceStuck: the last attempt was terminated and has still not ended.
        """
        instance = self._instance
        instance.take_command(generation)
        if generation is None:
            instance.raise_if_not_ready()
            attempt = instance.attempt
            if attempt is None:
                instance.launch(instance.epoch + 1)
            elif attempt.is_finished or attempt.stop_asked:
                instance.following = ResourceState.ONLINE
            return
        is_new = epoch is not None and epoch > instance.epoch
        if is_new and instance.attempt is None and not instance.is_closed:
            instance.launch(epoch or 0)
        else:
            instance.answer_command()

    def begin_offline(self, generation: int | None = None) -> None:
        """Begin to go offline; an attempt that is still coming online is terminated.

        Args:
            generation: the number of the command, for a cluster. By default it has none.
        """
        instance = self._instance
        instance.take_command(generation)
        attempt, before = instance.attempt, instance.state
        instance.following = None
        if attempt is None or attempt.is_finished:
            instance.rest_offline()
        elif attempt.phase is Phase.UP:
            if not attempt.stop_asked:
                instance.stop(attempt)
        elif not attempt.stop_asked:
            attempt.terminate()
        if generation is not None and instance.state is before:
            instance.answer_command()

    def begin_terminate(self, generation: int | None = None) -> None:
        """Cancel the attempt, if there is one; ``terminate`` joins it as well.

        Args:
            generation: the number of the command, for a cluster. By default it has none.
        """
        instance = self._instance
        instance.take_command(generation)
        attempt, before = instance.attempt, instance.state
        instance.following = None
        if attempt is None or attempt.is_finished:
            instance.rest_offline()
        else:
            attempt.terminate()
        if generation is not None and instance.state is before:
            instance.answer_command()

    def fail(self, detail: str = "", *, epoch: int | None = None) -> None:
        """Let the resource fail, as if it had failed by itself.

        Args:
            detail: why, in words for people.
            epoch: which attempt is meant; another one is left alone, and so is one that is
                over. By default the one that runs.

        Raises:
            InvalidStateError: no epoch is given, and it is neither online nor pending.
            TypeError: the detail is not a ``str``.
        """
        detail = check_text("detail", detail)
        instance = self._instance
        instance.take_command(None)
        attempt = instance.attempt
        meant = attempt if attempt is None or epoch in (None, attempt.epoch) else None
        if meant is not None and meant.fail(FailureReason.REQUESTED, detail):
            # Reported at once, and not by the consumer of the failure channel.
            instance.take_command(None)
        elif epoch is None:
            raise InvalidStateError(f"{self.name} is {self.state.value}; it cannot fail now")

    def set_maintenance(self, maintenance: bool) -> None:
        """Ignore reported failures and bad answers of checks, or no longer.

        At the end, what was reported meanwhile is looked into, and the resource is
        checked.

        Args:
            maintenance: whether to ignore them.
        """
        instance = self._instance
        instance.maintenance = maintenance
        attempt = instance.attempt
        if maintenance or attempt is None or not attempt.is_watched:
            return
        signal, attempt.signal = attempt.signal, None
        if signal is None:
            instance.probe(attempt).request()
        else:
            attempt.report_failure(signal)

    def store_properties(self, stored: Mapping[str, Any]) -> None:
        """Keep properties for the next online; they have been checked before.

        Args:
            stored: what is set, by name; the type's defaults stand below.
        """
        self._instance.store_properties(stored)

    # --- commands that wait ------------------------------------------------------------

    async def online(self) -> ResourceState:
        """Bring the resource online, and wait for that no longer than the soft deadline.

        The wait is a cancel scope with the soft deadline around it. If the attempt is still
        pending then, its worker task goes on: it belongs to the monitor, so cancelling the
        caller ends its waiting and nothing else.

        Returns:
            ``ONLINE``, or ``ONLINE_PENDING`` if it is still at it.

        Raises:
            OnlineFailed: it failed, or was taken offline meanwhile.
            InvalidStateError: the resource is closed.
            ResourceStuck: the last attempt has still not ended.
        """
        self.begin_online()
        await self._settle()
        if self._instance.state is ResourceState.ONLINE:
            return ResourceState.ONLINE
        if not self.is_settled:
            return ResourceState.ONLINE_PENDING
        if self.state is ResourceState.FAILED and self.last_failure is not None:
            raise OnlineFailed(f"{self.name}: {self.last_failure}") from self.last_failure.error
        raise OnlineFailed(f"{self.name} was taken offline while it was coming online")

    async def offline(self) -> ResourceState:
        """Take the resource offline, and wait for that no longer than the soft deadline.

        Cancelling the caller ends its waiting and nothing else.

        Returns:
            ``OFFLINE``, or ``OFFLINE_PENDING`` if it is still at it.

        Raises:
            OfflineFailed: it failed on the way.
            ResourceStuck: an earlier attempt has still not ended.
        """
        self.begin_offline()
        await self._settle()
        if self.stuck:
            raise self._describe_stuck()
        if not self.is_settled:
            return ResourceState.OFFLINE_PENDING
        if self.state is ResourceState.FAILED and self.last_failure is not None:
            raise OfflineFailed(f"{self.name}: {self.last_failure}") from self.last_failure.error
        return self.state

    async def terminate(self) -> None:
        """Cancel whatever the attempt is at, and wait until nothing of it is left.

        Shielded and bounded: also a cancelled caller returns only when the attempt has
        ended or is stuck. The bound is one terminate deadline for its tasks and contexts,
        one for the handler's ``terminate``, and one for that to obey its cancellation.
        Called from a task of the attempt itself it does not wait.

        Raises:
            ResourceStuck: the attempt did not end within these bounds.
        """
        attempt = self._instance.attempt
        self.begin_terminate()
        if attempt is None:
            await trio.lowlevel.checkpoint()
            return
        if attempt.is_current_task_within():
            return
        if attempt.phase is not Phase.ENDED and not self.stuck:
            await attempt.join()
        await trio.lowlevel.checkpoint_if_cancelled()
        if attempt.phase is not Phase.ENDED:
            raise self._describe_stuck()

    async def wait_state(self, *states: ResourceState, held_for: float = 0.0) -> ResourceState:
        """Wait until the resource is in one of the states.

        Args:
            states: the states to wait for.
            held_for: for how many seconds it must have been so without a change.

        Returns:
            The state; it may have changed again since.

        Raises:
            InvalidStateError: called by an entry point of the resource itself, which has to end
                before the resource can get there.
            TypeError: what is given is not a ``ResourceState``.
            ValueError: no state is given, or ``held_for`` is not a number of at least 0.
        """
        check_members("wait_state()", states, ResourceState)
        held_for = check_seconds("held_for", held_for, is_finite=True)
        if self.state not in states:
            self._refuse_own_entry_point("wait_state")
        instance = self._instance
        if instance.watched is None:
            instance.watched = Watched(instance.state)
        return await instance.watched.wait(*states, held_for=held_for)

    async def apply_properties(self) -> bool:
        """Put the stored properties into use while the resource is online.

        All that changed must be dynamic. There is no checkpoint after they were applied, so
        cancellation never hides that they were.

        Returns:
            Whether they are in use; False if the resource is not online any more, or if the
            handler raised when it was told of them: it has failed then.
        """
        await trio.lowlevel.checkpoint()
        instance = self._instance
        attempt = instance.attempt
        if attempt is None or not attempt.is_watched:
            return False
        try:
            instance.apply_properties()
        except Exception as error:
            # As for every other entry point: the resource has failed, and nothing else.
            detail = f"properties_changed raised {describe_error(error)}"
            attempt.fail(FailureReason.REQUESTED, detail, error)
            return False
        return True

    async def control(self, code: str, argument: Any = None) -> Any:
        """Send a control code to the handler; it waits for its turn.

        Cancelling the caller cancels the call, and waits for its end.

        Args:
            code: the code, as the type defines it.
            argument: whatever goes with it.

        Returns:
            The handler's answer.

        Raises:
            InvalidStateError: the resource is closed; or called by an entry point of the
                resource itself: only one runs at a time.
            TypeError: the code is not a ``str``.
            ResourceNotAvailable: the resource was terminated meanwhile.
            TimeoutError: it took longer than the deadlock deadline.
            Exception: what the handler raised.
        """
        code = check_text("code", code)
        instance = self._instance
        if instance.is_closed:
            raise InvalidStateError(f"{self.name} is closed")
        self._refuse_own_entry_point("control")
        return await EntryCall(instance, "control", self.handler.control, (code, argument)).run()

    async def close(self, nursery: trio.Nursery | None = None) -> None:
        """Terminate what runs, close the handler and forget the resource; once, last.

        Once begun it is shielded, and bounded by the terminate deadline and the deadlock
        deadline: a clean-up is not left half done. No attempt begins from the first moment on.
        A second caller waits for the first.

        Args:
            nursery: where to run the handler's ``close``; by default in the monitor's.

        Raises:
            InvalidStateError: called from a task of the attempt, which has to end first.
            ResourceStuck: the attempt did not end; the resource is not closed.
            TimeoutError: ``close`` got no turn, or took longer than the deadlock deadline.
            Exception: what the handler raised.
        """
        instance = self._instance
        if instance.is_current_task_within():
            raise InvalidStateError(f"{self.name} cannot be closed by a task of its own")
        await trio.lowlevel.checkpoint_if_cancelled()
        with trio.CancelScope(shield=True):
            if self._close_ended is not None:
                await self._close_ended.wait()
                if not instance.is_closed:
                    raise self._describe_stuck()
                return
            ended = self._close_ended = trio.Event()
            instance.is_closed = True
            try:
                await self.terminate()
                await EntryCall(instance, "close", self.handler.close, ()).run(
                    nursery, turn=self.deadlines.deadlock
                )
            except ResourceStuck:
                instance.is_closed = False
                self._close_ended = None
                raise
            finally:
                if instance.is_closed:
                    self._closed(self)
                ended.set()

    def _refuse_own_entry_point(self, call: str) -> None:
        if is_entry_point_of(self.instance):
            raise InvalidStateError(
                f"{self.name}: {call}() was called by an entry point of the resource itself, and"
                " would wait for its own end; call it from a task of scope.start_soon()"
            )

    async def _settle(self) -> None:
        """Wait until settled, for the soft deadline; always a checkpoint."""
        instance = self._instance
        if instance.is_settled:
            await trio.lowlevel.checkpoint()
            return
        with trio.CancelScope(deadline=soft_deadline(instance.deadlines.soft)):  # noqa: ASYNC912
            await instance.wait_settled()

    def _describe_stuck(self) -> ResourceStuck:
        return ResourceStuck(f"{self.name} does not end", self._instance.task_tree())

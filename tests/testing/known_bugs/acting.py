"""Decisions that are out of date when they are acted on."""

from __future__ import annotations

import trio

from trioresource.testing import always

from .known_bug import KnownBug, steps

# -- check, then act


class Budget:
    """Whether there is enough left is asked before the wait, and used after it.

    Two that ask for more than there is together are both served. Fails if the second one
    asks while the first one's booking is under way.
    """

    def __init__(self, left: int) -> None:
        self.left = left

    async def spend(self, amount: int) -> bool:
        if self.left < amount:
            return False
        await steps(1)  # the booking
        self.left -= amount
        return True


class FixedBudget(Budget):
    """What is promised is taken off in the step that promises it."""

    async def spend(self, amount: int) -> bool:
        if self.left < amount:
            return False
        self.left -= amount
        await steps(1)
        return True


async def two_spend(budget: Budget) -> None:
    async def late() -> None:
        await steps(3)
        await budget.spend(60)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(budget.spend, 60)
        nursery.start_soon(late)
    assert budget.left == 40, f"{budget.left} of 100 left"


async def check_then_act() -> None:
    await two_spend(Budget(100))


async def fixed_check() -> None:
    await two_spend(FixedBudget(100))


# -- double start


class Service:
    """``ensure`` starts the process if there is none; a start takes a while.

    A second caller during that while sees no process and starts another, which is never
    ended. Fails if the poll asks while the operator's start goes on.
    """

    def __init__(self) -> None:
        self.processes = 0
        self.process: int | None = None

    async def start(self) -> int:
        await steps(1)
        self.processes += 1
        await steps(1)
        return self.processes

    async def ensure(self) -> None:
        if self.process is None:
            self.process = await self.start()


class FixedService(Service):
    """The question and the start are under one lock."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = trio.Lock()

    async def ensure(self) -> None:
        async with self.lock:
            await super().ensure()


async def operator_and_poll(service: Service) -> None:
    def at_most_one_process() -> bool:
        return service.processes <= 1

    async def poll() -> None:
        await steps(4)
        await service.ensure()

    always(at_most_one_process)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.ensure)
        nursery.start_soon(poll)
    assert service.process == 1


async def double_start() -> None:
    await operator_and_poll(Service())


async def fixed_start() -> None:
    await operator_and_poll(FixedService())


# -- stale epoch


class Supervised:
    """A report says that the resource failed, but not which attempt to run it.

    The first attempt fails, and its report is on its way while an operator starts the
    second one: then the report takes that one for failed. Fails if the restart comes
    between the failure and its report.
    """

    def __init__(self) -> None:
        self.attempt = 1
        self.state = "online"

    async def watch(self, attempt: int) -> None:
        await steps(1)  # until it dies
        await steps(1)  # until the report is there
        self.report(attempt)

    def report(self, attempt: int) -> None:
        self.state = "failed"

    async def restart(self) -> None:
        await steps(1)
        self.attempt += 1
        self.state = "online"


class FixedSupervised(Supervised):
    """A report of another attempt than the present one is out of date."""

    def report(self, attempt: int) -> None:
        if attempt == self.attempt:
            super().report(attempt)


async def failure_and_restart(resource: Supervised) -> None:
    async def operator() -> None:
        await steps(4)
        await resource.restart()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(resource.watch, resource.attempt)
        nursery.start_soon(operator)
    assert resource.state == "online", f"attempt {resource.attempt} is {resource.state}"


async def stale_epoch() -> None:
    await failure_and_restart(Supervised())


async def fixed_epoch() -> None:
    await failure_and_restart(FixedSupervised())


# -- a dict that changes while it is walked


class Members:
    """The members are asked one by one, and each answer is waited for.

    One that joins meanwhile changes the dict under the loop, which Python answers with a
    ``RuntimeError``. Fails if the join comes while the round is under way.
    """

    def __init__(self) -> None:
        self.heard = {"east": 0, "west": 0}

    async def ask_all(self) -> None:
        for name in self.heard:
            await steps(1)
            self.heard[name] += 1


class FixedMembers(Members):
    """The round goes over those who were there when it began."""

    async def ask_all(self) -> None:
        for name in list(self.heard):
            await steps(1)
            self.heard[name] += 1


async def round_and_join(members: Members) -> None:
    async def join() -> None:
        await steps(4)
        members.heard["north"] = 0

    async with trio.open_nursery() as nursery:
        nursery.start_soon(members.ask_all)
        nursery.start_soon(join)
    assert members.heard["east"] == members.heard["west"] == 1


async def changed_dict() -> None:
    await round_and_join(Members())


async def fixed_dict() -> None:
    await round_and_join(FixedMembers())


BUGS = (
    KnownBug("check then act", check_then_act, fixed_check),
    KnownBug("double start", double_start, fixed_start),
    KnownBug("stale epoch", stale_epoch, fixed_epoch),
    KnownBug("changed dict", changed_dict, fixed_dict, fails_with=ExceptionGroup),
)

"""What Trio calls by itself runs between two steps, at the same place each time."""

from __future__ import annotations

import trio
import trio.testing

from trioresource.testing import explore


def test_run_sync_soon_has_its_place() -> None:
    logs: list[list[object]] = []

    async def scenario() -> None:
        log: list[object] = []
        token = trio.lowlevel.current_trio_token()

        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                token.run_sync_soon(log.append, "called")
                await trio.sleep_forever()

            async def go() -> None:
                for number in range(4):
                    log.append(number)
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()

            nursery.start_soon(ask)
            nursery.start_soon(go)
        logs.append(log)

    # Trio itself would toss a coin between the call and the step beside it.
    for _ in range(20):
        explore(scenario, strategy="fifo")
    assert logs == [[0, "called", 1, 2, 3]] * len(logs)


def test_deadline_in_the_past_is_due_before_the_next_step() -> None:
    async def scenario() -> None:
        steps: list[str] = []
        scope = trio.CancelScope()

        async def wait() -> None:
            with scope:
                await trio.sleep_forever()
            steps.append("woken")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            scope.deadline = trio.current_time() - 1
            for number in range(2):
                await trio.lowlevel.checkpoint()
                steps.append(str(number))
        assert steps == ["0", "woken", "1"], steps

    # First come, first served: the expiry is no later than the first checkpoint.
    explore(scenario, strategy="fifo")

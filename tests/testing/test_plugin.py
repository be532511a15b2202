from __future__ import annotations

import os
import re

import pytest

BUG = """
    import trio
    from trioresource.testing import explored

    @explored(schedules=50)
    async def test_lost():
        value = 0

        async def increment():
            nonlocal value
            before = value
            await trio.lowlevel.checkpoint()
            if FIXED:
                before = value
            value = before + 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(increment)
            nursery.start_soon(increment)
        assert value == 2
"""


@pytest.fixture
def lost(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_lost="FIXED = False\n" + _dedent(BUG))
    return pytester


def _dedent(text: str) -> str:
    return "\n".join(line.removeprefix("    ") for line in text.splitlines())


def token(result: pytest.RunResult) -> str:
    found = re.search(r"replay: pytest (\S+) --schedule=(tr1-\S*)", result.stdout.str())
    assert found is not None
    assert found[1] == "test_lost.py::test_lost"
    return found[2]


def test_a_failure_tells_how_to_replay_it(lost: pytest.Pytester) -> None:
    first = lost.runpytest()
    first.assert_outcomes(failed=1)
    again = lost.runpytest("test_lost.py::test_lost", f"--schedule={token(first)}")
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(["*schedule 1 failed (replay, seed 0)*"])


def test_a_schedule_that_failed_runs_first_until_it_passes(lost: pytest.Pytester) -> None:
    lost.runpytest().assert_outcomes(failed=1)
    again = lost.runpytest("--schedule-strategy=fifo", "--schedules=1")
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(["*schedule 1 failed (failed before*"])
    path = lost.path / "test_lost.py"
    path.write_text(path.read_text().replace("FIXED = False", "FIXED = True"))
    lost.runpytest().assert_outcomes(passed=1)
    path.write_text(path.read_text().replace("FIXED = True", "FIXED = False"))
    forgotten = lost.runpytest()
    forgotten.assert_outcomes(failed=1)
    assert "failed before" not in forgotten.stdout.str()


def test_a_failure_that_a_test_expects_is_not_remembered(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from trioresource.testing import explore

        async def fails():
            raise LookupError

        def test_expected():
            with pytest.raises(LookupError):
                explore(fails)
        """
    )
    pytester.runpytest().assert_outcomes(passed=1)
    second = pytester.runpytest("-rP")
    second.assert_outcomes(passed=1)
    assert "failed before" not in second.stdout.str()


@pytest.mark.parametrize("mode", ["trio_mode = true", "trio_mode = false"])
def test_options_marker_and_pytest_trio(pytester: pytest.Pytester, mode: str) -> None:
    pytester.makeini(f"[pytest]\n{mode}\n")
    pytester.makepyfile(
        """
        import pytest, trio
        from trioresource.testing import explored

        runs = {"decorated": 0, "marked": 0, "plain": 0}

        @explored(schedules=10)
        async def test_decorated(tmp_path):
            runs["decorated"] += 1
            await trio.sleep(1000)

        @pytest.mark.explored(schedules=10)
        @pytest.mark.parametrize("number", [1, 2])
        async def test_marked(number):
            runs["marked"] += 1
            await trio.sleep(1000)

        @pytest.mark.trio
        async def test_plain():
            runs["plain"] += 1

        class TestClass:
            @explored
            async def test_method(self):
                await trio.sleep(1)

        def test_counts():
            # The plain schedule runs twice.
            assert runs == {"decorated": 8, "marked": 16, "plain": 1}
        """
    )
    result = pytester.runpytest("--schedules=7", "--schedule-seed=3", "-rP")
    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines(["*7 schedules (auto, seed 3)*"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
def test_processes_that_share_the_search(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import trio
        from trioresource.testing import explored

        @explored
        async def test_it():
            await trio.sleep(1)
        """
    )
    result = pytester.runpytest("--schedule-jobs=2", "-rP")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*200 schedules (auto, seed 0, 2 jobs)*"])


def test_beside_the_plugin_of_anyio(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ntrio_mode = false\n")
    pytester.makepyfile(
        """
        import anyio, pytest
        from trioresource.testing import explored

        pytestmark = pytest.mark.anyio

        @pytest.fixture
        def anyio_backend():
            return "trio"

        @explored(schedules=5)
        async def test_explored():
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 1)

        async def test_anyio():
            await anyio.sleep(0)
        """
    )
    pytester.runpytest("-p", "anyio").assert_outcomes(passed=2)


def test_an_async_fixture_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ntrio_mode = true\n")
    pytester.makepyfile(
        """
        import pytest
        from trioresource.testing import explored

        @pytest.fixture
        async def database():
            yield 1

        @pytest.fixture
        def indirect(database):
            return database

        @explored
        async def test_it(indirect):
            pass
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "*test_it explores many schedules, and fixture 'database' is async: it would be set up"
            " once, for the first schedule only.*async with database() as ...*"
        ]
    )


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--schedules=0", "--schedules: 1 at least, not 0"),
        ("--schedule-jobs=0", "--schedule-jobs: 1 at least, not 0"),
        ("--schedule=nonsense", "--schedule: 'nonsense' is not a schedule"),
        ("--schedule-strategy=best", "--schedule-strategy: there is no strategy 'best'"),
    ],
)
def test_options_that_mean_nothing(lost: pytest.Pytester, option: str, said: str) -> None:
    result = lost.runpytest(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{said}*"])


def test_a_marker_where_it_means_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import pytest\n@pytest.mark.explored\ndef test_it(): pass\n")
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*test_it: marked as explored, and no async function*"])


def test_a_random_hash_seed_is_mentioned(
    lost: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    lost.runpytest("--schedule=tr1-").stdout.fnmatch_lines(["schedule: PYTHONHASHSEED is random*"])
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    assert "PYTHONHASHSEED" not in lost.runpytest("--schedule=tr1-").stdout.str()


def test_skipping_in_a_schedule(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from trioresource.testing import explored

        @explored
        async def test_skipped():
            pytest.skip("not here")

        @explored
        async def test_failed():
            pytest.fail("a finding")
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(skipped=1, failed=1)
    result.stdout.fnmatch_lines(["*replay: pytest*"])


def test_with_hypothesis(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ntrio_mode = true\n")
    pytester.makepyfile(
        """
        import trio
        from hypothesis import given, settings, strategies as st
        from trioresource.testing import explored

        @settings(database=None, derandomize=True)
        @given(st.lists(st.integers(0, 3), max_size=3))
        @explored(schedules=5)
        async def test_sleepers(delays):
            async with trio.open_nursery() as nursery:
                for delay in delays:
                    nursery.start_soon(trio.sleep, delay)
            assert len(delays) < 3
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*delays=[[]0, 0, 0[]]*"])


def test_a_cluster_under_virtual_time(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ntrio_mode = true\n")
    pytester.makepyfile(
        """
        import trio
        from trioresource import ResourceHandler, ResourceState
        from trioresource.testing import explored

        class Database(ResourceHandler):
            async def online(self, scope):
                await trio.sleep(60)

        async def scenario(simulated_cluster):
            began = trio.current_time()
            async with simulated_cluster() as simulated:
                database = await simulated.add("db", Database)
                await database.online()
                await database.wait_online()
                assert trio.current_time() - began == 60
            assert simulated.events.states("db")[-1] is ResourceState.OFFLINE

        async def test_trio(simulated_cluster, autojump_clock):
            await scenario(simulated_cluster)

        @explored(schedules=5)
        async def test_explored(simulated_cluster):
            await scenario(simulated_cluster)
        """
    )
    pytester.runpytest().assert_outcomes(passed=2)

"""The group commit by example; tests/model/test_group_commit.py checks any order of events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

import pytest

from pendo_aep.group_commit import GroupCommit, Limits, Overloaded
from tests.group_commit_harness import Harness, all_done, outcome
from tests.simulated_time import advance, in_manual_time, settle


@in_manual_time
async def test_items_queue_while_calls_are_in_flight() -> None:
    """While all calls are in flight items queue, and are sent together when one ends."""
    bench = Harness(items=10, calls=2)
    for name in "ab":
        bench.submit(name)
        await settle()
    assert bench.sent == ["a", "b"]
    for name in "cde":
        bench.submit(name)
        await settle()
    assert bench.sent == ["a", "b"]
    bench.calls[1].end()
    await settle()
    assert bench.sent == ["a", "b", "cde"]
    for call in bench.open.copy():
        call.end()
    await settle()


@in_manual_time
async def test_the_linger() -> None:
    """With a linger the first item of a batch waits so long for others, and no longer."""
    bench = Harness(items=10, linger=0.02)
    bench.submit("a")
    await advance(0.015)
    bench.submit("b")
    await advance(0.004)
    assert bench.sent == []
    await advance(0.002)
    assert bench.sent == ["ab"]
    bench.calls[0].end()
    await settle()


# Cancelled callers, failing calls, overload.


@in_manual_time
async def test_a_caller_is_cancelled_while_queued() -> None:
    """A caller that is cancelled while its item is queued removes it; others are unaffected."""
    bench = Harness()
    bench.submit("a")
    await settle()
    b, c = bench.submit("b", "c")
    await settle()
    b.cancel()
    await settle()
    bench.calls[0].end()
    await settle()
    assert bench.sent == ["a", "c"]
    bench.calls[1].end()
    assert await outcome(c) == "done c"


@pytest.mark.parametrize("results", [[], ["x"], ["x", "y", "z"]])
@in_manual_time
async def test_a_wrong_number_of_results(results: list[str]) -> None:
    """With a wrong number of results no caller gets one, because it could be another's."""
    bench = Harness(items=2)
    waiting = bench.submit("a", "b", "c")
    await settle()
    bench.calls[0].answer.set_result(results)
    await settle()
    bench.calls[1].end()
    assert [type(await outcome(one)) for one in waiting] == [RuntimeError, RuntimeError, str]


@in_manual_time
async def test_a_cancelled_call() -> None:
    """When a call is cancelled its callers get an error, and the next call is made."""
    bench = Harness(items=1)
    a, b = bench.submit("a", "b")
    await settle()
    bench.calls[0].answer.cancel()
    await settle()
    bench.calls[1].end()
    assert isinstance(await outcome(a), RuntimeError)
    assert await outcome(b) == "done b"


@in_manual_time
async def test_commit_raises_before_its_first_await() -> None:
    """A `commit` that raises at once is like one that raises later: no caller hangs."""

    def commit(items: list[str]) -> Awaitable[Sequence[str]]:
        raise ConnectionError("".join(items))

    group = GroupCommit(commit, Limits(3, 100, 1))
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    waiting = asyncio.create_task(group.submit("a", 1))
    try:
        assert isinstance(await outcome(waiting), ConnectionError)
    finally:
        waiting.cancel()


@pytest.mark.parametrize(("size", "held"), [(1, 4), (100, 2), (250, 1)])
@in_manual_time
async def test_overloaded(size: int, held: int) -> None:
    """More than twice what may be in flight, in items or in bytes, is rejected.

    A rejected item is not sent; when a call ends there is room again.
    """
    bench = Harness(items=2, size=100)
    bench.submit("a")
    await settle()
    waiting = bench.submit(*"bcdefg"[:held], size=size)
    [over] = bench.submit("!")
    assert isinstance(await outcome(over), Overloaded)
    bench.calls[0].end()
    await settle()
    waiting += bench.submit("z")
    while bench.open:
        bench.open[0].end()
        await settle()
    assert "".join(bench.sent) == "a" + "bcdefg"[:held] + "z"
    assert await all_done(waiting)

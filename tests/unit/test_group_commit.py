"""The group commit: batches form while calls are in flight, and every caller gets a result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

import pytest

from pendo_aep.group_commit import GroupCommit, Limits, Overloaded
from tests.group_commit_harness import Harness, all_done, outcome
from tests.simulated_time import advance, in_manual_time, settle


@in_manual_time
async def test_a_single_item_is_sent_at_once() -> None:
    """Without a linger an item is sent at once, alone."""
    bench = Harness()
    [a] = bench.submit("a")
    await settle()
    assert bench.sent == ["a"]
    bench.calls[0].end()
    assert await outcome(a) == "done a"


@in_manual_time
async def test_items_of_one_turn_share_a_call() -> None:
    """Items that arrive in the same turn of the loop share a call, in order."""
    bench = Harness(calls=4)
    bench.submit("a", "b", "c")
    await settle()
    assert bench.sent == ["abc"]
    bench.calls[0].end()
    await settle()


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
async def test_each_caller_gets_its_own_result() -> None:
    """Each caller gets the result of its own item, whichever call ends first."""
    bench = Harness(items=2, calls=3)
    waiting = bench.submit(*"abcdef")
    await settle()
    assert bench.sent == ["ab", "cd", "ef"]
    for place in (2, 0, 1):
        bench.calls[place].end()
        await settle()
    assert [await outcome(one) for one in waiting] == [f"done {name}" for name in "abcdef"]


@in_manual_time
async def test_the_item_limit() -> None:
    """A call carries at most so many items; the rest follows in the next, in order."""
    bench = Harness(items=2)
    bench.submit(*"abcde")
    await settle()
    for _ in range(3):
        bench.open[0].end()
        await settle()
    assert bench.sent == ["ab", "cd", "e"]


@in_manual_time
async def test_the_byte_limit() -> None:
    """A call carries at most so many bytes, to the byte."""
    bench = Harness(items=10, size=100)
    for name, size in (("a", 60), ("b", 40), ("c", 60), ("d", 41), ("e", 1)):
        bench.submit(name, size=size)
    await settle()
    for _ in range(3):
        bench.open[0].end()
        await settle()
    assert bench.sent == ["ab", "c", "de"]


@in_manual_time
async def test_an_oversize_item_is_sent_alone() -> None:
    """An item over the byte limit is sent, alone."""
    bench = Harness(items=10, size=100)
    bench.submit("a", size=10)
    bench.submit("b", size=101)
    bench.submit("c", size=10)
    await settle()
    for _ in range(3):
        bench.open[0].end()
        await settle()
    assert bench.sent == ["a", "b", "c"]


@in_manual_time
async def test_a_burst_fills_every_call() -> None:
    """A burst within one turn starts all calls, and queues as many items as are allowed."""
    bench = Harness(items=2, calls=2)
    held = 2 * 2 + bench.limits.max_waiting_items
    waiting = bench.submit(*(chr(ord("a") + n) for n in range(held)))
    [over] = bench.submit("!")
    await settle()
    assert bench.sent == ["ab", "cd"]
    assert isinstance(await outcome(over), Overloaded)
    while bench.open:
        bench.open[0].end()
        await settle()
    assert await all_done(waiting)
    assert bench.most_open == 2


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


@pytest.mark.parametrize(("items", "size"), [(3, 1), (10, 40)])
@in_manual_time
async def test_a_full_batch_does_not_linger(items: int, size: int) -> None:
    """A batch that is full, by items or by bytes, is sent at once."""
    bench = Harness(items=items, size=100, linger=0.02)
    for name in "ab":
        bench.submit(name, size=size)
        await settle()
    assert bench.sent == []
    bench.submit("c", size=size)
    await settle()
    assert bench.sent == ["abc" if items == 3 else "ab"]
    while bench.open:
        bench.open[0].end()
        await advance(0.02)
    assert "".join(bench.sent) == "abc"


@in_manual_time
async def test_an_item_that_queued_longer_does_not_linger() -> None:
    """Items that have queued longer than the linger are sent as soon as a call ends."""
    bench = Harness(items=10, linger=0.02)
    bench.submit("a")
    await advance(0.02)
    bench.submit("b")
    await advance(0.03)
    bench.submit("c")
    await settle()
    assert bench.sent == ["a"]
    bench.calls[0].end()
    await settle()
    assert bench.sent == ["a", "bc"]
    bench.calls[1].end()
    await settle()


@in_manual_time
async def test_a_late_item_lingers_for_the_rest() -> None:
    """Items that have queued less than the linger wait for the rest of it."""
    bench = Harness(items=10, linger=0.02)
    bench.submit("a")
    await advance(0.02)
    bench.submit("b")
    await advance(0.01)
    bench.calls[0].end()
    await settle()
    assert bench.sent == ["a"]
    await advance(0.011)
    assert bench.sent == ["a", "b"]
    bench.calls[1].end()
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


@in_manual_time
async def test_all_callers_are_cancelled_while_queued() -> None:
    """When no caller is left no empty call is made, and the next item is sent as usual."""
    bench = Harness()
    bench.submit("a")
    await settle()
    waiting = bench.submit("b", "c")
    await settle()
    for one in waiting:
        one.cancel()
    bench.calls[0].end()
    await settle()
    assert bench.sent == ["a"]
    [d] = bench.submit("d")
    await settle()
    bench.calls[1].end()
    assert await outcome(d) == "done d"
    assert bench.sent == ["a", "d"]


@in_manual_time
async def test_a_caller_is_cancelled_in_flight() -> None:
    """A caller that is cancelled while its call is in flight does not affect the others in it."""
    bench = Harness()
    a, b = bench.submit("a", "b")
    await settle()
    a.cancel()
    await settle()
    bench.calls[0].end()
    assert await outcome(b) == "done b"
    assert isinstance(await outcome(a), asyncio.CancelledError)


@in_manual_time
async def test_cancelled_callers_free_their_places() -> None:
    """Cancelled callers free their places in the queue at once."""
    bench = Harness(items=2)
    bench.submit("a")
    await settle()
    waiting = bench.submit(*(f"w{n}" for n in range(bench.limits.max_waiting_items)))
    await settle()
    for one in waiting:
        one.cancel()
    await settle()
    [late] = bench.submit("z")
    await settle()
    assert not late.done()
    bench.calls[0].end()
    await settle()
    bench.calls[1].end()
    assert await outcome(late) == "done z"


@in_manual_time
async def test_an_exception_of_commit() -> None:
    """An exception of a call is raised to each of its callers, and to no other."""
    bench = Harness(items=2)
    a, b, c = bench.submit("a", "b", "c")
    await settle()
    failure = ConnectionError("gone")
    bench.calls[0].answer.set_exception(failure)
    await settle()
    bench.calls[1].end()
    assert [await outcome(one) for one in (a, b, c)] == [failure, failure, "done c"]


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

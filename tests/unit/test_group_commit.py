"""The group commit: batches form while calls are in flight, and nobody is left waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

import pytest

from pendo_aep.group_commit import GroupCommit, Limits, Overloaded
from tests.group_commit_harness import Harness, advance, all_done, outcome, scenario, settle


@scenario
async def test_a_lone_item_waits_for_nobody() -> None:
    """With no linger an item goes at once, alone, and no time passes."""
    bench = Harness()
    [a] = bench.submit("a")
    await settle()
    assert bench.sent == ["a"]
    bench.calls[0].end()
    assert await outcome(a) == "done a"


@scenario
async def test_one_turn_one_call() -> None:
    """What arrives in the same turn of the loop goes in the same call, in its order."""
    bench = Harness(calls=4)
    bench.submit("a", "b", "c")
    await settle()
    assert bench.sent == ["abc"]
    bench.calls[0].end()
    await settle()


@scenario
async def test_what_arrives_meanwhile_gathers() -> None:
    """While all calls are in flight items gather, and go together when one ends."""
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


@scenario
async def test_each_gets_its_own_result() -> None:
    """Each caller gets the result of its own item, whichever call ends first."""
    bench = Harness(items=2, calls=3)
    waiting = bench.submit(*"abcdef")
    await settle()
    assert bench.sent == ["ab", "cd", "ef"]
    for place in (2, 0, 1):
        bench.calls[place].end()
        await settle()
    assert [await outcome(one) for one in waiting] == [f"done {name}" for name in "abcdef"]


@scenario
async def test_no_more_than_so_many_items() -> None:
    """A call carries no more items than it may; the rest goes with the next, in order."""
    bench = Harness(items=2)
    bench.submit(*"abcde")
    await settle()
    for _ in range(3):
        bench.open[0].end()
        await settle()
    assert bench.sent == ["ab", "cd", "e"]


@scenario
async def test_no_more_than_so_many_bytes() -> None:
    """A call carries no more bytes than it may, up to the last one."""
    bench = Harness(items=10, size=100)
    for name, size in (("a", 60), ("b", 40), ("c", 60), ("d", 41), ("e", 1)):
        bench.submit(name, size=size)
    await settle()
    for _ in range(3):
        bench.open[0].end()
        await settle()
    assert bench.sent == ["ab", "c", "de"]


@scenario
async def test_an_oversize_item_goes_alone() -> None:
    """An item larger than a call may be is not held back for ever: it goes, alone."""
    bench = Harness(items=10, size=100)
    bench.submit("a", size=10)
    bench.submit("b", size=101)
    bench.submit("c", size=10)
    await settle()
    for _ in range(3):
        bench.open[0].end()
        await settle()
    assert bench.sent == ["a", "b", "c"]


@scenario
async def test_a_burst_fills_every_call() -> None:
    """A burst within one turn starts as many calls as may be, and holds what may wait."""
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


@scenario
async def test_linger_waits_for_others() -> None:
    """With a linger the first of a batch waits so long for others, and no longer."""
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
def test_a_full_batch_does_not_linger(items: int, size: int) -> None:
    """A batch that is full by its items or by its bytes goes at once."""

    @scenario
    async def test() -> None:
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

    test()


@scenario
async def test_who_waited_for_a_call_does_not_linger_again() -> None:
    """Items that have waited longer than the linger go as soon as a call ends."""
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


@scenario
async def test_who_came_late_lingers_its_rest() -> None:
    """Items younger than the linger wait for what is left of it when a call ends."""
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


# The group commit when things go wrong: cancelled callers, failing calls, too much at once.


@scenario
async def test_cancelled_while_waiting() -> None:
    """A caller that is cancelled while its item waits takes the item out; others go on."""
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


@scenario
async def test_all_cancelled_while_waiting() -> None:
    """When nobody waits any more no empty call is made, and the next item goes as ever."""
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


@scenario
async def test_cancelled_in_flight() -> None:
    """A caller that is cancelled once its call has started harms nobody else in it."""
    bench = Harness()
    a, b = bench.submit("a", "b")
    await settle()
    a.cancel()
    await settle()
    bench.calls[0].end()
    assert await outcome(b) == "done b"
    assert isinstance(await outcome(a), asyncio.CancelledError)


@scenario
async def test_the_cancelled_hold_no_place() -> None:
    """Callers that gave up make room at once: the next is not turned away for them."""
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


@scenario
async def test_what_commit_raises() -> None:
    """What a call raises goes to each of its callers, and to nobody else."""
    bench = Harness(items=2)
    a, b, c = bench.submit("a", "b", "c")
    await settle()
    failure = ConnectionError("gone")
    bench.calls[0].answer.set_exception(failure)
    await settle()
    bench.calls[1].end()
    assert [await outcome(one) for one in (a, b, c)] == [failure, failure, "done c"]


@pytest.mark.parametrize("results", [[], ["x"], ["x", "y", "z"]])
def test_a_wrong_number_of_results(results: list[str]) -> None:
    """When the results do not fit the items no caller is given one: it could be another's."""

    @scenario
    async def test() -> None:
        bench = Harness(items=2)
        waiting = bench.submit("a", "b", "c")
        await settle()
        bench.calls[0].answer.set_result(results)
        await settle()
        bench.calls[1].end()
        assert [type(await outcome(one)) for one in waiting] == [RuntimeError, RuntimeError, str]

    test()


@scenario
async def test_a_cancelled_call() -> None:
    """When the call itself is cancelled its callers are told so, and the next goes on."""
    bench = Harness(items=1)
    a, b = bench.submit("a", "b")
    await settle()
    bench.calls[0].answer.cancel()
    await settle()
    bench.calls[1].end()
    assert isinstance(await outcome(a), RuntimeError)
    assert await outcome(b) == "done b"


@scenario
async def test_commit_raises_before_it_awaits() -> None:
    """A `commit` that raises when it is called is as one that raises later: nobody hangs."""

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
def test_overloaded(size: int, held: int) -> None:
    """More than twice of what may be in flight, in items or in bytes, is turned away.

    What was turned away is not sent; when a call ends there is room again.
    """

    @scenario
    async def test() -> None:
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

    test()

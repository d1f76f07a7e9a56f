"""The group commit: batches form while calls are in flight, and nobody is left waiting."""

from __future__ import annotations

import pytest

from pendo_aep.group_commit import Overloaded
from tests.group_commit_bench import Bench, all_done, move, outcome, scenario, settle


@scenario
async def test_a_lone_item_waits_for_nobody() -> None:
    """With no linger an item goes at once, alone, and no time passes."""
    bench = Bench()
    [a] = bench.submit("a")
    await settle()
    assert bench.sent == ["a"]
    bench.calls[0].end()
    assert await outcome(a) == "done a"


@scenario
async def test_one_turn_one_call() -> None:
    """What arrives in the same turn of the loop goes in the same call, in its order."""
    bench = Bench(calls=4)
    bench.submit("a", "b", "c")
    await settle()
    assert bench.sent == ["abc"]
    bench.calls[0].end()
    await settle()


@scenario
async def test_what_arrives_meanwhile_gathers() -> None:
    """While all calls are in flight items gather, and go together when one ends."""
    bench = Bench(items=10, calls=2)
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
    bench = Bench(items=2, calls=3)
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
    bench = Bench(items=2)
    bench.submit(*"abcde")
    await settle()
    for _ in range(3):
        bench.open[0].end()
        await settle()
    assert bench.sent == ["ab", "cd", "e"]


@scenario
async def test_no_more_than_so_many_bytes() -> None:
    """A call carries no more bytes than it may, up to the last one."""
    bench = Bench(items=10, size=100)
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
    bench = Bench(items=10, size=100)
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
    bench = Bench(items=2, calls=2)
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
    bench = Bench(items=10, linger=0.02)
    bench.submit("a")
    await move(0.015)
    bench.submit("b")
    await move(0.004)
    assert bench.sent == []
    await move(0.002)
    assert bench.sent == ["ab"]
    bench.calls[0].end()
    await settle()


@pytest.mark.parametrize(("items", "size"), [(3, 1), (10, 40)])
def test_a_full_batch_does_not_linger(items: int, size: int) -> None:
    """A batch that is full by its items or by its bytes goes at once."""

    @scenario
    async def test() -> None:
        bench = Bench(items=items, size=100, linger=0.02)
        for name in "ab":
            bench.submit(name, size=size)
            await settle()
        assert bench.sent == []
        bench.submit("c", size=size)
        await settle()
        assert bench.sent == ["abc" if items == 3 else "ab"]
        while bench.open:
            bench.open[0].end()
            await move(0.02)
        assert "".join(bench.sent) == "abc"

    test()


@scenario
async def test_who_waited_for_a_call_does_not_linger_again() -> None:
    """Items that have waited longer than the linger go as soon as a call ends."""
    bench = Bench(items=10, linger=0.02)
    bench.submit("a")
    await move(0.02)
    bench.submit("b")
    await move(0.03)
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
    bench = Bench(items=10, linger=0.02)
    bench.submit("a")
    await move(0.02)
    bench.submit("b")
    await move(0.01)
    bench.calls[0].end()
    await settle()
    assert bench.sent == ["a"]
    await move(0.011)
    assert bench.sent == ["a", "b"]
    bench.calls[1].end()
    await settle()

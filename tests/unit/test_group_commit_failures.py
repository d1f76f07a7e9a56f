"""The group commit when things go wrong: cancelled callers, failing calls, too much at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

import pytest

from pendo_aep.group_commit import GroupCommit, Limits, Overloaded
from tests.group_commit_bench import Bench, all_done, outcome, scenario, settle


@scenario
async def test_cancelled_while_waiting() -> None:
    """A caller that is cancelled while its item waits takes the item out; others go on."""
    bench = Bench()
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
    bench = Bench()
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
    bench = Bench()
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
    bench = Bench(items=2)
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
    bench = Bench(items=2)
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
        bench = Bench(items=2)
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
    bench = Bench(items=1)
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
        bench = Bench(items=2, size=100)
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

"""The group commit in any order of events: arrivals, ends, failures, cancellations, time."""

from __future__ import annotations

import asyncio
from typing import Literal, TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from pendo_aep.group_commit import Overloaded
from tests.cases import randomly
from tests.group_commit_bench import Bench, End, Waiting, move, outcome, scenario, settle

Kind: TypeAlias = Literal["submit", "cancel", "move", "settle"] | End
Step: TypeAlias = tuple[Kind, int]

KINDS: list[Kind] = ["submit", "submit", "submit", "cancel", "move", "settle"]
KINDS += ["well", "fail", "short"]
# The number is the size of what is submitted, or the milliseconds of a move; else it says which.
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 130)), max_size=40)


async def play(bench: Bench, steps: list[Step]) -> list[Waiting]:
    """Does what the steps say, ends all calls that are left, and gives back who submitted."""
    waiting: list[Waiting] = []
    for step, number in steps:
        match step:
            case "submit":
                waiting += bench.submit(f"{len(waiting)}", size=number)
            case "cancel" if waiting:
                waiting[-1 - number % len(waiting)].cancel()
            case "move":
                await move(number / 1000)
            case "settle":
                await settle()
            case "well" | "fail" | "short" if bench.open:
                bench.open[number % len(bench.open)].end(step)
    await move(1)
    while bench.open:
        bench.open[0].end()
        await move(1)
    return waiting


@randomly
@given(
    steps=STEPS,
    items=st.integers(1, 4),
    calls=st.integers(1, 3),
    linger=st.sampled_from([0.0, 0.02]),
)
def test_whatever_happens(steps: list[Step], items: int, calls: int, linger: float) -> None:
    """In any order of events nobody is left waiting, and no limit is exceeded.

    Each item is sent once at most, in the order of arrival, and answered with its own result.
    """

    @scenario
    async def test() -> None:
        bench = Bench(items=items, size=100, calls=calls, linger=linger)
        waiting = await play(bench, steps)
        sent = [item for call in bench.calls for item in call.items]
        assert sent == sorted(set(sent), key=int)
        assert bench.most_open <= calls
        for call in bench.calls:
            assert 1 <= len(call.items) <= items
            assert call.bytes <= 100 or len(call.items) == 1
        for name, one in enumerate(waiting):
            got = await outcome(one)
            if isinstance(got, str):
                assert got == f"done {name}"
            elif not isinstance(got, asyncio.CancelledError):
                assert isinstance(got, ConnectionError | RuntimeError | Overloaded)
                assert isinstance(got, Overloaded) is (f"{name}" not in sent)

    test()

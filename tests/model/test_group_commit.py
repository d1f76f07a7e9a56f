"""The group commit as a state machine: its promises hold in any order of events."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from local.simulated_time import SimulatedTimeLoop
from pendo_aep.group_commit import Overloaded
from tests.group_commit_harness import Call, CallEnd, Harness, Waiting
from tests.simulated_time import settle

pytestmark = pytest.mark.slow

# A tick is exact as a float, so that a timer is due exactly then.
TICK = 1 / 1024
LINGER = 20
MAX_BYTES = 100
# Few, so that their sums are often just the limit of a call, or one more.
SIZES = st.sampled_from([1, 20, 40, 41, 60, 99, 100, 101, 150])
TICKS = st.sampled_from([1, 5, 20, 50, 120])
ENDS: tuple[CallEnd, ...] = ("success", "failure", "short")


@dataclass(slots=True)
class Caller:
    """A caller: what it submitted, when, and what must have happened since."""

    name: str
    size: int
    since: float
    until: float
    waiting: Waiting
    was_cancelled: bool = False
    must_be_rejected: bool | None = None  # None: it depends on the order within a turn

    @property
    def got(self) -> str | BaseException | None:
        """The result or the exception; None while it waits."""
        if not self.waiting.done():
            return None
        if self.waiting.cancelled():
            return asyncio.CancelledError()
        return self.waiting.exception() or self.waiting.result()


class GroupCommitMachine(RuleBasedStateMachine):
    """The real group commit, with calls that end as the rules say.

    What happens between two rules that let the loop turn is in the same turn, in any order.
    """

    @initialize(
        items=st.integers(1, 4),
        calls=st.integers(1, 3),
        linger=st.sampled_from([0, LINGER]),
        timeout=st.sampled_from([math.inf, 30.0, 120.0]),
    )
    def begin(self, items: int, calls: int, linger: int, timeout: float) -> None:
        """Starts a group commit with these limits; time is in ticks."""
        self.runner = asyncio.Runner(loop_factory=SimulatedTimeLoop)
        self.loop = self.runner.get_loop()
        self.timeout = timeout * TICK
        self.harness = Harness(
            items=items, size=MAX_BYTES, calls=calls, linger=linger * TICK, timeout=self.timeout
        )
        self.callers: dict[str, Caller] = {}
        self.ends: dict[int, CallEnd] = {}
        self.checked = 0  # calls that have been checked
        self.queue: list[str] = []  # who waited for a call when the loop was last idle
        self.gone: set[str] = set()  # who had a result, or had given up, by then
        self.is_idle = True

    @rule(size=SIZES)
    def arrive(self, size: int) -> None:
        """A caller submits an item."""
        name = str(len(self.callers))
        self.harness.sizes[name] = size
        waiting = self.loop.create_task(self.harness.group.submit(name, size))
        now = self.loop.time()
        caller = Caller(name, size, now, now + self.timeout, waiting)
        if self.is_idle:
            caller.must_be_rejected = self.is_full()
        self.callers[name] = caller
        self.is_idle = False

    @precondition(lambda self: any(not one.waiting.done() for one in self.callers.values()))
    @rule(which=st.integers(min_value=0))
    def give_up(self, which: int) -> None:
        """A waiting caller is cancelled: before it is queued, in the queue, or in flight."""
        waiting = [one for one in self.callers.values() if not one.waiting.done()]
        caller = waiting[which % len(waiting)]
        caller.waiting.cancel()
        caller.was_cancelled = True
        self.is_idle = False

    @precondition(lambda self: self.harness.open)
    @rule(which=st.integers(min_value=0), how=st.sampled_from(ENDS))
    def end_call(self, which: int, how: CallEnd) -> None:
        """A call in flight ends: with success, an exception, or too few results."""
        call = self.harness.open[which % len(self.harness.open)]
        if not call.answer.done():
            self.ends[self.harness.calls.index(call)] = how
            call.end(how)
        self.is_idle = False

    @rule()
    def turn_once(self) -> None:
        """The loop turns once, and is not idle afterwards."""
        self.runner.run(asyncio.sleep(0))
        self.is_idle = False

    @rule()
    def become_idle(self) -> None:
        """The loop becomes idle, without time passing."""
        self.runner.run(settle())
        self.is_idle = True

    @rule(ticks=TICKS)
    def pass_time(self, ticks: int) -> None:
        """Time passes, and timers run when they are due."""
        self.runner.run(asyncio.sleep(ticks * TICK))
        self.become_idle()

    @invariant()
    def calls_in_flight_are_bounded(self) -> None:
        """In any turn, at most so many calls are in flight."""
        assert self.harness.most_open <= self.harness.limits.max_in_flight

    @invariant()
    def promises_hold(self) -> None:
        """Whenever the loop is idle, order, limits, results and timeouts are as promised."""
        if not self.is_idle:
            return
        for call in self.harness.calls[self.checked :]:
            self.check_call(call)
        self.checked = len(self.harness.calls)
        for caller in self.callers.values():
            self.check_caller(caller)
        self.queue = list(self.queued())
        self.gone = {name for name, caller in self.callers.items() if caller.waiting.done()}
        self.check_queue()

    def check_call(self, call: Call) -> None:
        """A call is within its limits and in order, and leaves out no item that would fit."""
        limits = self.harness.limits
        assert 1 <= len(call.items) <= limits.max_items
        assert call.bytes <= limits.max_bytes or len(call.items) == 1
        sent_before = [int(item) for item in self.sent(before=call)]
        assert sorted({*sent_before, *map(int, call.items)}) == [
            *sent_before,
            *map(int, call.items),
        ], "out of order, or twice"
        self.check_linger(call, sent_before)
        left = [n for n in self.queue if n not in call.items and n not in self.sent(before=call)]
        owed = [self.is_owed(self.callers[name]) for name in left]
        if any(owed) and len(call.items) < limits.max_items:
            # One that has given up since may still have been next when the call started.
            next_in_line = left[: owed.index(True) + 1]
            sizes = [self.callers[name].size for name in next_in_line]
            assert call.bytes + max(sizes) > limits.max_bytes

    def check_linger(self, call: Call, sent_before: Sequence[int]) -> None:
        """A call starts when its first item has lingered, or when it is full.

        One that gives up in the turn in which the call became full may still be counted.
        """
        limits = self.harness.limits
        there = [
            caller.size
            for name, caller in self.callers.items()
            if caller.since <= call.started
            and int(name) not in sent_before
            and name not in self.gone
        ]
        if call.started < self.callers[call.items[0]].since + limits.linger_seconds:
            is_full = len(there) >= limits.max_items or sum(there) >= limits.max_bytes
            assert is_full, "did not wait for others"

    def check_caller(self, caller: Caller) -> None:
        """A caller has its own result as soon as its call has ended, or its timeout."""
        got = caller.got
        call = self.call_of(caller)
        end = self.ends.get(self.harness.calls.index(call)) if call else None
        if caller.must_be_rejected is not None and not caller.was_cancelled:
            assert isinstance(got, Overloaded) is caller.must_be_rejected
        match got:
            case None:
                assert end is None, "its call has ended without a result for it"
                assert self.loop.time() < caller.until, "it should have timed out"
            case str():
                assert (got, end) == (f"done {caller.name}", "success")
            case asyncio.CancelledError():
                assert caller.was_cancelled
            case Overloaded():
                assert call is None, "rejected, and sent all the same"
            case TimeoutError():
                assert self.loop.time() >= caller.until
            case ConnectionError():
                assert end == "failure"
            case _:
                assert isinstance(got, RuntimeError)
                assert end == "short"

    def check_queue(self) -> None:
        """Nothing is queued that could be sent, and no more than the limits allow."""
        limits, open_calls = self.harness.limits, len(self.harness.open)
        sizes = [self.callers[name].size for name in self.queue]
        assert len(sizes) <= limits.max_waiting_items
        assert sum(sizes[:-1]) < limits.max_waiting_bytes
        if sizes and open_calls < limits.max_in_flight:
            first = self.callers[self.queue[0]]
            assert len(sizes) < limits.max_items, "full, and not sent"
            assert sum(sizes) < limits.max_bytes, "full, and not sent"
            assert self.loop.time() < first.since + limits.linger_seconds, "never sent"

    def is_full(self) -> bool:
        """Returns whether the next item must be rejected."""
        limits = self.harness.limits
        size = sum(self.callers[name].size for name in self.queue)
        return len(self.queue) >= limits.max_waiting_items or size >= limits.max_waiting_bytes

    def queued(self) -> Iterator[str]:
        """Yields the items that wait for a call, in order of arrival."""
        sent = set(self.sent())
        for name, caller in self.callers.items():
            if name not in sent and caller.got is None:
                yield name

    def sent(self, before: Call | None = None) -> Sequence[str]:
        """Returns the items of all calls, or of those before one, in order."""
        calls = itertools.takewhile(lambda call: call is not before, self.harness.calls)
        return [item for call in calls for item in call.items]

    def call_of(self, caller: Caller) -> Call | None:
        """Returns the call that carried an item."""
        return next((call for call in self.harness.calls if caller.name in call.items), None)

    @staticmethod
    def is_owed(caller: Caller) -> bool:
        """Returns whether it still waits, or got a result."""
        return caller.got is None or isinstance(caller.got, str)

    def teardown(self) -> None:
        """In the end no caller waits, and all places in the queue are free again."""
        with self.runner:
            self.end_all_calls()
            assert all(caller.waiting.done() for caller in self.callers.values()), "waits forever"
            limits = self.harness.limits
            room = limits.max_in_flight * limits.max_items + limits.max_waiting_items
            first = len(self.callers)
            for _ in range(room + 1):
                self.is_idle = False  # all in one turn: some of them are sent at its end
                self.arrive(1)
            self.end_all_calls()
            late = [self.callers[str(first + number)].got for number in range(room + 1)]
            assert [isinstance(got, Overloaded) for got in late] == [False] * room + [True]

    def end_all_calls(self) -> None:
        """Lets all calls in flight and all queued items succeed."""
        self.become_idle()
        self.promises_hold()
        for _ in self.callers:  # a call carries one of them at least
            self.pass_time(LINGER)  # the last of them may be waiting for others
            if self.harness.open:
                self.end_call(0, "success")
            self.become_idle()
            self.promises_hold()


GroupCommitMachine.TestCase.settings = settings(deadline=None, stateful_step_count=40)
TestGroupCommit = GroupCommitMachine.TestCase

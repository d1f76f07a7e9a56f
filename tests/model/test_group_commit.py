"""The group commit as a state machine: any order of events, checked against what it promises."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from local.simulated_time import SimulatedTimeLoop
from pendo_aep.group_commit import Overloaded
from tests.group_commit_harness import Call, CallEnd, Harness, Waiting, settle

# A tick has no error as a float, so that a timer is due at its very moment.
TICK = 1 / 1024
LINGER = 20
MAX_BYTES = 100
# Few, so that sums of them often are just what a call may carry, or one more.
SIZES = st.sampled_from([1, 20, 40, 41, 60, 99, 100, 101, 150])
TICKS = st.sampled_from([1, 5, 20, 50, 120])
ENDS: tuple[CallEnd, ...] = ("well", "fail", "short")


@dataclass(slots=True)
class Caller:
    """One who submitted: what, when, and what must have become of it."""

    name: str
    size: int
    since: float
    until: float
    waiting: Waiting
    has_given_up: bool = False
    must_be_turned_away: bool | None = None  # None: it depends on the order within a turn

    @property
    def got(self) -> str | BaseException | None:
        """The result or the exception; None while there is neither."""
        if not self.waiting.done():
            return None
        if self.waiting.cancelled():
            return asyncio.CancelledError()
        return self.waiting.exception() or self.waiting.result()


class GroupCommitMachine(RuleBasedStateMachine):
    """The real group commit, on calls that end as the rules say.

    What comes between two rules that let the loop turn happens in the same turn, in any order.
    """

    @initialize(
        items=st.integers(1, 4),
        calls=st.integers(1, 3),
        linger=st.sampled_from([0, LINGER]),
        patience=st.sampled_from([math.inf, 30.0, 120.0]),
    )
    def begin(self, items: int, calls: int, linger: int, patience: float) -> None:
        """A group commit with these limits, and time in ticks."""
        self.runner = asyncio.Runner(loop_factory=SimulatedTimeLoop)
        self.loop = self.runner.get_loop()
        self.patience = patience * TICK
        self.bench = Harness(
            items=items, size=MAX_BYTES, calls=calls, linger=linger * TICK, patience=self.patience
        )
        self.callers: dict[str, Caller] = {}
        self.ends: dict[int, CallEnd] = {}
        self.checked = 0  # calls that have been looked at
        self.queue: list[str] = []  # who waited for a call when all was last quiet
        self.is_quiet = True

    @rule(size=SIZES)
    def arrive(self, size: int) -> None:
        """One more submits an item."""
        name = str(len(self.callers))
        self.bench.sizes[name] = size
        waiting = self.loop.create_task(self.bench.group.submit(name, size))
        now = self.loop.time()
        caller = Caller(name, size, now, now + self.patience, waiting)
        if self.is_quiet:
            caller.must_be_turned_away = self.holds_all_it_may()
        self.callers[name] = caller
        self.is_quiet = False

    @precondition(lambda self: any(not one.waiting.done() for one in self.callers.values()))
    @rule(which=st.integers(min_value=0))
    def give_up(self, which: int) -> None:
        """One who waits is cancelled: in the queue, in flight, or before it got that far."""
        waiting = [one for one in self.callers.values() if not one.waiting.done()]
        caller = waiting[which % len(waiting)]
        caller.waiting.cancel()
        caller.has_given_up = True
        self.is_quiet = False

    @precondition(lambda self: self.bench.open)
    @rule(which=st.integers(min_value=0), how=st.sampled_from(ENDS))
    def end_call(self, which: int, how: CallEnd) -> None:
        """A call in flight ends: well, by an exception, or with too few results."""
        call = self.bench.open[which % len(self.bench.open)]
        if not call.answer.done():
            self.ends[self.bench.calls.index(call)] = how
            call.end(how)
        self.is_quiet = False

    @rule()
    def turn_once(self) -> None:
        """The loop turns once, and is in the midst of things afterwards."""
        self.runner.run(asyncio.sleep(0))
        self.is_quiet = False

    @rule()
    def come_to_rest(self) -> None:
        """The loop does all that is ready; no time passes."""
        self.runner.run(settle())
        self.is_quiet = True

    @rule(ticks=TICKS)
    def pass_time(self, ticks: int) -> None:
        """Time passes, and what is due meanwhile happens at its moment."""
        self.runner.run(asyncio.sleep(ticks * TICK))
        self.come_to_rest()

    @invariant()
    def never_more_calls_than_may_be(self) -> None:
        """No more calls are in flight than may be, in any turn."""
        assert self.bench.most_open <= self.bench.limits.max_in_flight

    @invariant()
    def all_is_as_promised(self) -> None:
        """Whenever all is quiet: order, limits, results, patience, and nobody forgotten."""
        if not self.is_quiet:
            return
        for call in self.bench.calls[self.checked :]:
            self.check_call(call)
        self.checked = len(self.bench.calls)
        for caller in self.callers.values():
            self.check_caller(caller)
        self.queue = list(self.queued())
        self.check_queue()

    def check_call(self, call: Call) -> None:
        """A call is within its limits, is in order, and leaves nobody behind who would fit."""
        limits = self.bench.limits
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
        """A call starts when its first item has waited for others, or when it is full."""
        limits = self.bench.limits
        there = [
            caller.size
            for caller in self.callers.values()
            if caller.since <= call.started and int(caller.name) not in sent_before
        ]
        if call.started < self.callers[call.items[0]].since + limits.linger_seconds:
            is_full = len(call.items) == limits.max_items or sum(there) >= limits.max_bytes
            assert is_full, "did not wait for others"

    def check_caller(self, caller: Caller) -> None:
        """A caller has what is its own, as soon as it is there, and no later than it waits."""
        got = caller.got
        call = self.call_of(caller)
        end = self.ends.get(self.bench.calls.index(call)) if call else None
        if caller.must_be_turned_away is not None and not caller.has_given_up:
            assert isinstance(got, Overloaded) is caller.must_be_turned_away
        match got:
            case None:
                assert end is None, "its call has ended, and it was not told"
                assert self.loop.time() < caller.until, "its patience is at its end"
            case str():
                assert (got, end) == (f"done {caller.name}", "well")
            case asyncio.CancelledError():
                assert caller.has_given_up
            case Overloaded():
                assert call is None, "turned away, and sent all the same"
            case TimeoutError():
                assert self.loop.time() >= caller.until
            case ConnectionError():
                assert end == "fail"
            case _:
                assert isinstance(got, RuntimeError)
                assert end == "short"

    def check_queue(self) -> None:
        """Nothing waits that could go, and no more waits than may."""
        limits, open_calls = self.bench.limits, len(self.bench.open)
        sizes = [self.callers[name].size for name in self.queue]
        assert len(sizes) <= limits.max_waiting_items
        assert sum(sizes[:-1]) < limits.max_waiting_bytes
        if sizes and open_calls < limits.max_in_flight:
            first = self.callers[self.queue[0]]
            assert len(sizes) < limits.max_items, "full, and not on its way"
            assert sum(sizes) < limits.max_bytes, "full, and not on its way"
            assert self.loop.time() < first.since + limits.linger_seconds, "forgotten"

    def holds_all_it_may(self) -> bool:
        """Must the next be turned away?"""
        limits = self.bench.limits
        size = sum(self.callers[name].size for name in self.queue)
        return len(self.queue) >= limits.max_waiting_items or size >= limits.max_waiting_bytes

    def queued(self) -> Iterator[str]:
        """Who waits for a call, in the order of arrival."""
        sent = set(self.sent())
        for name, caller in self.callers.items():
            if name not in sent and caller.got is None:
                yield name

    def sent(self, before: Call | None = None) -> Sequence[str]:
        """The items of all calls, or of those before one, in their order."""
        calls = itertools.takewhile(lambda call: call is not before, self.bench.calls)
        return [item for call in calls for item in call.items]

    def call_of(self, caller: Caller) -> Call | None:
        """The call that carried an item."""
        return next((call for call in self.bench.calls if caller.name in call.items), None)

    @staticmethod
    def is_owed(caller: Caller) -> bool:
        """Does it still wait, or did it get a result?"""
        return caller.got is None or isinstance(caller.got, str)

    def teardown(self) -> None:
        """In the end nobody waits, and whoever comes then finds all the room there is."""
        with self.runner:
            self.end_all_calls()
            assert all(caller.waiting.done() for caller in self.callers.values()), "for ever"
            limits = self.bench.limits
            room = limits.max_in_flight * limits.max_items + limits.max_waiting_items
            first = len(self.callers)
            for _ in range(room + 1):
                self.is_quiet = False  # all in one turn: some of them are on their way at its end
                self.arrive(1)
            self.end_all_calls()
            late = [self.callers[str(first + number)].got for number in range(room + 1)]
            assert [isinstance(got, Overloaded) for got in late] == [False] * room + [True]

    def end_all_calls(self) -> None:
        """Lets everything in flight end well, and what was waiting after it."""
        self.come_to_rest()
        self.all_is_as_promised()
        for _ in self.callers:  # a call carries one of them at least
            self.pass_time(LINGER)  # the last of them may be waiting for others
            if self.bench.open:
                self.end_call(0, "well")
            self.come_to_rest()
            self.all_is_as_promised()


GroupCommitMachine.TestCase.settings = settings(deadline=None, stateful_step_count=40)
TestGroupCommit = GroupCommitMachine.TestCase

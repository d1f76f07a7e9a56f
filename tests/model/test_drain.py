"""The promises of the specification, with messages pulled by `drain` under leases."""

from __future__ import annotations

import math
from dataclasses import dataclass

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from starlette.responses import Response

from tests.model.functions import DEAD_TOPIC, DRAIN_SECONDS, TOPIC, request
from tests.model.pipeline import (
    KINDS,
    PUBLISH_SECONDS,
    THEN,
    Kind,
    PipelineMachine,
    Then,
    Waiting,
)
from tests.model.stores import ACKNOWLEDGE, CALLER, LEASE, PULL, Message

COMPANION = "fine-companion"
# After its time is up: a letter is put down, it is acknowledged, and what is left is given back.
ENDING_SECONDS = 3 * PUBLISH_SECONDS


@dataclass(slots=True, eq=False)
class Run:
    """One run of `drain`, and what it asked of the subscription.

    Attributes:
        until: the end of its time.
        ended: when it did end.
    """

    until: float
    ended: float = math.inf


@dataclass(slots=True, eq=False)
class Call(Waiting):
    """A request to `drain`."""

    run: Run


class DrainMachine(PipelineMachine):
    """`drain` is called, by one who calls again before the last run has ended."""

    places = (TOPIC, DEAD_TOPIC, PULL, ACKNOWLEDGE, LEASE)

    @initialize(kinds=st.lists(st.sampled_from(KINDS), max_size=6), is_well=st.booleans())
    def begin(self, kinds: list[Kind], is_well: bool) -> None:
        """Some events wait already."""
        self.runs: list[Call] = []
        self.start(kinds, is_well=is_well)

    @precondition(lambda self: len(self.unended) < 2)
    @rule(then=THEN)
    def drain_is_called(self, then: Then) -> None:
        """A scheduler calls."""
        self.call_drain()
        self.go_on(then)

    @precondition(lambda self: any(call.place == PULL for call in self.pubsub.open))
    @rule(which=st.integers(min_value=0), many=st.integers(0, 5), then=THEN)
    def pull_ends(self, which: int, many: int, then: Then) -> None:
        """A pull delivers some of what waits, or nothing."""
        pulls = [call for call in self.pubsub.open if call.place == PULL]
        self.pubsub.end(pulls[which % len(pulls)], "done", many)
        self.go_on(then)

    @invariant()
    def answers_are_true(self) -> None:
        """A run answers what it did, or that it could not pull anything."""
        for call in self.runs:
            match call.status:
                case 200:
                    self.check_counts(call.run, orjson.loads(call.answer.result().body))
                case 503:
                    assert not self.held(call.run)
                case status:
                    assert status is None
        self.runs = self.unended

    @invariant()
    def leases_last(self) -> None:
        """What a run holds is delivered to nobody else in its time, if Pub/Sub hears it."""
        for lease, delivered_again in self.pubsub.subscription.expired:
            run = lease.holder
            if isinstance(run, Run) and lease.unheard == 0:
                assert delivered_again >= min(run.until, run.ended)

    def check_counts(self, run: Run, told: dict[str, int]) -> None:
        """Are these the numbers of a run?"""
        held = self.held(run)
        assert told["pulled"] == len(held)
        done = self.asked(run, ACKNOWLEDGE, is_told=True)
        assert told["delivered"] + told["refused"] == len(done)
        buried = {letter.data for letter in self.letters}
        refused = [held[ack_id] for ack_id in done if held[ack_id].data in buried]
        perhaps = [message for message in refused if self.is_accepted(message)]
        assert len(refused) - len(perhaps) <= told["refused"] <= len(refused)
        returned = held.keys() - done
        assert told["returned"] == len(returned)
        assert returned <= self.asked(run, LEASE, seconds=0), "not given back"

    def held(self, run: Run) -> dict[str, Message]:
        """What a run has pulled, by ack id."""
        leases = self.pubsub.subscription.leases.values()
        return {lease.ack_id: lease.message for lease in leases if lease.holder is run}

    def asked(
        self, run: Run, place: str, *, is_told: bool | None = None, seconds: int | None = None
    ) -> set[str]:
        """The ack ids in calls of a run; in those that succeeded, or that ask for `seconds`."""
        return {
            ack_id
            for call in self.pubsub.calls
            if call.caller is run and call.place == place
            if is_told is None or call.is_told is is_told
            if seconds is None or call.request.ack_deadline_seconds == seconds
            for ack_id in call.request.ack_ids
        }

    @property
    def unended(self) -> list[Call]:
        """The runs that have not answered."""
        return [call for call in self.runs if not call.answer.done()]

    @property
    def acknowledged(self) -> list[Message]:
        """What Pub/Sub has been told to forget."""
        return self.pubsub.subscription.acknowledged

    @property
    def waiting(self) -> list[Waiting]:
        """Who waits for an answer."""
        return [*super().waiting, *self.unended]

    def bring_to_its_end(self, message: Message) -> None:
        """Drains a message beside others that AEP accepts."""
        for offered in ([self.companion()], [message, self.companion()]):
            self.pubsub.subscription.offers = offered
            self.call_drain()
            self.time_passes(40.0)

    def companion(self) -> Message:
        """Another event on the topic."""
        event = {"id": COMPANION, "type": "t", "occurredAt": "o"}
        self.expected[COMPANION] = event
        data = orjson.dumps({**event, "receivedAt": self.now().isoformat()})
        self.events.append(Message(data, {"eventId": COMPANION}))
        return self.events[-1]

    def all_holds(self) -> None:
        """The invariants, for when no rule is running."""
        super().all_holds()
        self.answers_are_true()
        self.leases_last()

    def call_drain(self) -> None:
        """Begins a run."""
        run = Run(self.loop.time() + DRAIN_SECONDS)
        answer = self.loop.create_task(self.answer_of_drain(run))
        self.runs.append(Call(answer, run.until + ENDING_SECONDS, run))

    async def answer_of_drain(self, run: Run) -> Response:
        """Of the instance that runs now."""
        CALLER.set(run)
        try:
            return await self.functions.drain(request(b""))
        finally:
            run.ended = self.loop.time()


DrainMachine.TestCase.settings = settings(deadline=None, stateful_step_count=60)
TestDrain = DrainMachine.TestCase

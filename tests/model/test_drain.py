"""The promises of the specification, for messages that `drain` pulls with ack deadlines."""

from __future__ import annotations

import math
from dataclasses import dataclass

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from starlette.responses import Response

from tests.model.functions import DEAD_TOPIC, DRAIN_SECONDS, TOPIC, request
from tests.model.pipeline import PUBLISH_SECONDS, THEN, PipelineMachine, Then, Waiting
from tests.model.stores import ACKNOWLEDGE, CALLER, LEASE, PULL, Message

pytestmark = pytest.mark.slow

COMPANION = "fine-companion"
# After its time is up: dead letters are stored and acknowledged, and the rest is returned.
ENDING_SECONDS = 3 * PUBLISH_SECONDS


@dataclass(slots=True, eq=False)
class Run:
    """One run of `drain`.

    Attributes:
        until: The end of its time.
        ended: When it did end.
    """

    until: float
    ended: float = math.inf


@dataclass(slots=True, eq=False)
class Call(Waiting):
    """A request to `drain`."""

    run: Run


class DrainMachine(PipelineMachine):
    """A scheduler calls `drain`, sometimes before the last run has ended."""

    places = (TOPIC, DEAD_TOPIC, PULL, ACKNOWLEDGE, LEASE)

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[Call] = []

    @precondition(lambda self: len(self.unended) < 2)
    @rule(then=THEN)
    def drain_is_called(self, then: Then) -> None:
        """A scheduler calls `drain`."""
        self.call_drain()
        self.go_on(then)

    @precondition(lambda self: any(call.place == PULL for call in self.pubsub.open))
    @rule(which=st.integers(min_value=0), many=st.integers(0, 5), then=THEN)
    def pull_ends(self, which: int, many: int, then: Then) -> None:
        """A pull delivers some of the waiting messages, or none."""
        pulls = [call for call in self.pubsub.open if call.place == PULL]
        self.pubsub.end(pulls[which % len(pulls)], "done", many)
        self.go_on(then)

    @invariant()
    def answers_are_true(self) -> None:
        """A run answers what it did, or that it could not pull."""
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
    def ack_deadlines_last(self) -> None:
        """What a run holds is not delivered again in its time, if its extensions reach Pub/Sub."""
        for lease, delivered_again in self.pubsub.subscription.expired:
            run = lease.holder
            if isinstance(run, Run) and lease.unheard == 0:
                assert delivered_again >= min(run.until, run.ended)

    def check_counts(self, run: Run, counts: dict[str, int]) -> None:
        """Asserts that these are the counts of a run."""
        held = self.held(run)
        assert counts["pulled"] == len(held)
        done = self.asked(run, ACKNOWLEDGE, has_succeeded=True)
        assert counts["delivered"] + counts["refused"] == len(done)
        dead_lettered = {letter.data for letter in self.letters}
        refused = [held[ack_id] for ack_id in done if held[ack_id].data in dead_lettered]
        perhaps = [message for message in refused if self.is_accepted(message)]
        assert len(refused) - len(perhaps) <= counts["refused"] <= len(refused)
        returned = held.keys() - done
        assert counts["returned"] == len(returned)
        assert returned <= self.asked(run, LEASE, seconds=0), "not returned"

    def held(self, run: Run) -> dict[str, Message]:
        """Returns what a run has pulled, by ack ID."""
        leases = self.pubsub.subscription.leases.values()
        return {lease.ack_id: lease.message for lease in leases if lease.holder is run}

    def asked(
        self, run: Run, place: str, *, has_succeeded: bool | None = None, seconds: int | None = None
    ) -> set[str]:
        """Returns the ack IDs in calls of a run: those that succeeded, or with these `seconds`."""
        return {
            ack_id
            for call in self.pubsub.calls
            if call.caller is run and call.place == place
            if has_succeeded is None or call.has_succeeded is has_succeeded
            if seconds is None or call.request.ack_deadline_seconds == seconds
            for ack_id in call.request.ack_ids
        }

    @property
    def unended(self) -> list[Call]:
        """The runs without an answer."""
        return [call for call in self.runs if not call.answer.done()]

    @property
    def acknowledged(self) -> list[Message]:
        """The acknowledged messages."""
        return self.pubsub.subscription.acknowledged

    @property
    def waiting(self) -> list[Waiting]:
        """The requests without an answer."""
        return [*super().waiting, *self.unended]

    def settle_message(self, message: Message) -> None:
        """Drains a message together with others that AEP accepts."""
        for offered in ([self.companion()], [message, self.companion()]):
            self.pubsub.subscription.offers = offered
            self.call_drain()
            self.time_passes(40.0)

    def companion(self) -> Message:
        """Publishes another event to the topic."""
        event = {"id": COMPANION, "type": "t", "occurredAt": "o"}
        self.expected[COMPANION] = event
        data = orjson.dumps({**event, "receivedAt": self.now().isoformat()})
        self.events.append(Message(data, {"eventId": COMPANION}))
        return self.events[-1]

    def check_all_promises(self) -> None:
        """Checks the invariants outside of the rules."""
        super().check_all_promises()
        self.answers_are_true()
        self.ack_deadlines_last()

    def call_drain(self) -> None:
        """Starts a run."""
        run = Run(self.loop.time() + DRAIN_SECONDS)
        answer = self.loop.create_task(self.answer_of_drain(run))
        self.runs.append(Call(answer, run.until + ENDING_SECONDS, run))

    async def answer_of_drain(self, run: Run) -> Response:
        """Calls the instance that runs now."""
        CALLER.set(run)
        try:
            return await self.functions.drain(request(b""))
        finally:
            run.ended = self.loop.time()


DrainMachine.TestCase.settings = settings(deadline=None, stateful_step_count=60)
TestDrain = DrainMachine.TestCase

"""The state machine of the promises, which push and pull share.

Webhooks, deliveries, outcomes of every call, clients that hang up, crashes of instances and time
come in any order. What Pendo and Pub/Sub were told is compared with what is stored.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal, TypeAlias

import orjson
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from starlette.responses import Response

from local.simulated_time import SimulatedTimeLoop
from pendo_aep import clock
from tests.model.functions import DEAD_TOPIC, LIMITS, TOPIC, Functions, request
from tests.model.stores import (
    CALL_ENDS,
    REQUEST_ENDS,
    UNPUBLISHABLE,
    AepModel,
    CallEnd,
    Message,
    PubSubModel,
    RequestEnd,
)
from tests.simulated_time import settle

Kind: TypeAlias = Literal["fine", "rejected", "breaking", "poison", "unpublishable", "invalid"]
KINDS: tuple[Kind, ...] = (
    "fine", "fine", "fine", "rejected", "breaking", "poison", "unpublishable", "invalid",
)  # fmt: skip
# The reason for which `deliver` may dead-letter an event of each kind; it never does others.
CAUSES = {
    "rejected": "rejected",
    "breaking": "rejected",
    "poison": "poison",
    "foreign": "foreign",
}
# Bytes of `properties`; most events are small. As `raw`, an event has them twice, and
# the largest is more than AEP accepts.
SIZES = (0, 0, 0, 0, 5_000, 50_000, TOO_LARGE := 500_000)
PROPERTIES = {size: {f"{key:05}": "x" * 89 for key in range(size // 100)} for size in SIZES}
PUBLISH_SECONDS = 8.0
EPOCH = datetime(2026, 1, 31, tzinfo=UTC)
# What happens after a step: nothing, all that is ready, or some time.
Then: TypeAlias = float | None
THEN: st.SearchStrategy[Then] = st.sampled_from([None, 0.0, 0.02, 0.02, 0.5])


@dataclass(slots=True, eq=False)
class Waiting:
    """A request, with or without an answer."""

    answer: asyncio.Task[Response]
    by: float  # when there must be an answer

    @property
    def status(self) -> int | None:
        """The status; None while there is none, or if the request was cancelled."""
        if not self.answer.done() or self.answer.cancelled():
            return None
        return self.answer.result().status_code


@dataclass(slots=True, eq=False)
class Webhook(Waiting):
    """A request of Pendo."""

    body: bytes


def is_foreign(message: Message) -> bool:
    """Returns whether it is no event, but was published by mistake."""
    return message.data.startswith(b"foreign")


class PipelineMachine(RuleBasedStateMachine):
    """One instance of each function, and all that can happen to them."""

    # The topics and methods of Pub/Sub that may fail while others work.
    places: ClassVar[tuple[str, ...]] = (TOPIC, DEAD_TOPIC)

    @initialize(
        kinds=st.lists(st.sampled_from(KINDS), max_size=6),
        are_working=st.tuples(st.booleans(), st.booleans()),
    )
    def begin(self, kinds: list[Kind], are_working: tuple[bool, bool]) -> None:
        """Starts all, with events of these kinds on the topic.

        If Pub/Sub or AEP work, each call succeeds at once until a rule changes that.
        """
        self.to_close = ExitStack()
        self.runner = self.to_close.enter_context(asyncio.Runner(loop_factory=SimulatedTimeLoop))
        self.loop = self.runner.get_loop()
        self.readings = 0
        patches = self.to_close.enter_context(pytest.MonkeyPatch.context())
        patches.setattr(clock, "now", self.now)
        self.pubsub = PubSubModel(TOPIC, self.loop.time, self.on_acknowledge)
        self.aep = AepModel()
        self.functions = Functions.start(self.pubsub, self.aep)
        self.webhooks: list[Webhook] = []
        self.unanswered: list[Webhook] = []
        self.expected: dict[str, dict[str, Any]] = {}  # each event as it must be on the topic
        self.checked = 0  # messages on the topic that have been checked
        self.too_soon: list[Message] = []  # acknowledged while neither accepted nor a dead letter
        self.all_calls_end("done")
        for kind in kinds:
            self.send_webhook(self.new_webhook(kind, 0))
        self.go_on(0.0)
        self.all_calls_end("done" if are_working[0] else None)
        self.aep.ends_at_once = "honest" if are_working[1] else None

    @rule(kind=st.sampled_from(KINDS), size=st.sampled_from(SIZES), then=THEN)
    def webhook_arrives(self, kind: Kind, size: int, then: Then) -> None:
        """Pendo sends an event that has not been sent before."""
        self.send_webhook(self.new_webhook(kind, size))
        self.go_on(then)

    @precondition(lambda self: self.webhooks)
    @rule(which=st.integers(min_value=0), then=THEN)
    def webhook_comes_again(self, which: int, then: Then) -> None:
        """Pendo sends an event that it has sent already."""
        self.send_webhook(self.webhooks[which % len(self.webhooks)].body)
        self.go_on(then)

    @rule(then=THEN)
    def foreign_message_comes(self, then: Then) -> None:
        """Something else publishes to the topic what is no event."""
        number = len(self.events)
        self.events.append(Message(b"foreign %d" % number, {"eventId": f"foreign-{number}"}))
        self.go_on(then)

    @precondition(lambda self: self.pubsub.open)
    @rule(which=st.integers(min_value=0), how=st.sampled_from(("done", *CALL_ENDS)), then=THEN)
    def call_ends(self, which: int, how: CallEnd, then: Then) -> None:
        """Pub/Sub answers a call, perhaps after its caller has timed out."""
        self.pubsub.end(self.pubsub.open[which % len(self.pubsub.open)], how)
        self.go_on(then)

    @precondition(lambda self: self.aep.open)
    @rule(which=st.integers(min_value=0), how=st.sampled_from(REQUEST_ENDS), then=THEN)
    def request_ends(self, which: int, how: RequestEnd, then: Then) -> None:
        """AEP answers a request, perhaps too late."""
        self.aep.end(self.aep.open[which % len(self.aep.open)], how)
        self.go_on(then)

    @rule(how=st.sampled_from((None, "done", "done", *CALL_ENDS)))
    def pubsub_answers_so(self, how: CallEnd | None) -> None:
        """From now on Pub/Sub answers each call at once, in the same way; or leaves it open."""
        self.all_calls_end(how)

    @rule(which=st.integers(min_value=0), how=st.sampled_from((None, *CALL_ENDS)))
    def one_place_answers_so(self, which: int, how: CallEnd | None) -> None:
        """One topic or one method fails while all else works."""
        self.all_calls_end("done")
        self.pubsub.ends_at_once[self.places[which % len(self.places)]] = how

    @rule(how=st.sampled_from((*[None, "honest"] * 4, *REQUEST_ENDS)))
    def aep_answers_so(self, how: RequestEnd | None) -> None:
        """From now on AEP answers each request at once, in the same way; or leaves it open."""
        self.aep.ends_at_once = how

    @rule(
        turns=st.integers(0, 3),
        then=st.lists(st.sampled_from(("honest", "failing")), max_size=4),
    )
    def aep_flickers(self, turns: int, then: list[RequestEnd]) -> None:
        """AEP answers its next requests at once, some of them with a 500 of its own.

        In turns it looks as if one of two messages were the cause.
        """
        self.aep.next_ends = [*(("failing", "honest") * turns), *then]

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(min_value=0), then=THEN)
    def client_hangs_up(self, which: int, then: Then) -> None:
        """A client hangs up while its request waits, and the request is cancelled."""
        self.waiting[which % len(self.waiting)].answer.cancel()
        self.go_on(then)

    @rule()
    def channels_go_silent(self) -> None:
        """A NAT drops all connections to Pub/Sub."""
        self.functions.channels.go_silent()

    @rule()
    def instances_crash(self) -> None:
        """The functions crash, with all that they hold, and others start."""
        self.functions.channels.are_dead = True
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.go_on(0.0)
        self.functions = Functions.start(self.pubsub, self.aep)

    @rule(seconds=st.sampled_from([0.0, 2.0, 10.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        """Time passes, and what is due happens."""
        self.go_on(seconds)

    @invariant()
    def answers_to_pendo_are_true(self) -> None:
        """A 2xx means that the event is stored, or its exact bytes as a dead letter."""
        stored = {message.attributes["eventId"] for message in self.events}
        for webhook in self.unanswered:
            match webhook.status:
                case 200:
                    event_id = orjson.loads(webhook.body)["uniqueId"]
                    assert orjson.loads(webhook.answer.result().body)["id"] == event_id
                    assert event_id in stored
                case 202:
                    assert webhook.body in {letter.data for letter in self.letters}
                case status:
                    assert status in {None, 503}
        # Nothing is ever taken from a topic: once true, it stays true.
        self.unanswered = [one for one in self.unanswered if not one.answer.done()]

    @invariant()
    def stored_events_are_complete(self) -> None:
        """Each event on the topic has all that Pendo sent, and nothing else."""
        for message in self.events[self.checked :]:
            if not is_foreign(message):
                event = orjson.loads(message.data)
                del event["receivedAt"]
                assert event == self.expected[message.attributes["eventId"]]
        self.checked = len(self.events)

    @invariant()
    def acknowledged_messages_are_safe(self) -> None:
        """Only a message that AEP has accepted, or that is a dead letter, is acknowledged."""
        assert not self.too_soon

    @invariant()
    def requests_are_answered_in_time(self) -> None:
        """Each request has an answer in time."""
        for waiting in self.waiting:
            assert self.loop.time() <= waiting.by, "no answer"

    @invariant()
    def only_what_is_wrong_is_dead_letter(self) -> None:
        """A dead letter has the right reason, and an outage is none."""
        for letter in self.letters:
            event_id = letter.attributes["eventId"]
            kind, reason = event_id.partition("-")[0], letter.attributes["reason"]
            if letter.attributes["stage"] != "deliver":
                assert reason in {"unpublishable", "not_an_event"}
                assert not event_id.startswith(("fine", *CAUSES))
            elif reason == "too_large":
                assert len(letter.data) > TOO_LARGE
            else:
                is_poison = reason == "poison"
                assert reason == CAUSES.get(kind) or (
                    is_poison and self.failed_for_it_alone(letter)
                )

    @invariant()
    def requests_are_within_their_limits(self) -> None:
        """No request to AEP exceeds the limits, except for a single large event."""
        for sizes in self.aep.requests:
            assert len(sizes) <= LIMITS.max_items
            assert sum(sizes) <= LIMITS.max_bytes or len(sizes) == 1
        self.aep.requests.clear()

    def teardown(self) -> None:
        """Once everything works again, whatever was accepted is settled correctly."""
        with self.to_close:
            self.all_calls_end("done")
            self.aep.ends_at_once, self.aep.next_ends = "honest", []
            self.time_passes(40.0)
            events, owed = list(self.events), self.owed
            for message in owed:
                self.settle_message(message)
                self.check_all_promises()
            assert not [one for one in self.owed if one in owed], "never acknowledged"
            dead_lettered = {letter.attributes["eventId"] for letter in self.letters}
            for message in events:
                if message.attributes["eventId"].partition("-")[0] in CAUSES:
                    assert message.attributes["eventId"] in dead_lettered
                else:
                    assert self.is_safe(message)

    def check_all_promises(self) -> None:
        """Checks the invariants outside of the rules."""
        self.answers_to_pendo_are_true()
        self.stored_events_are_complete()
        self.acknowledged_messages_are_safe()
        self.requests_are_answered_in_time()
        self.only_what_is_wrong_is_dead_letter()
        self.requests_are_within_their_limits()

    @property
    def owed(self) -> list[Message]:
        """The messages that Pub/Sub must still deliver, once for each time they were published."""
        done = self.acknowledged
        return [m for m in self.events if not any(m is other for other in done)]

    @property
    def acknowledged(self) -> list[Message]:
        """The acknowledged messages."""
        raise NotImplementedError

    def settle_message(self, message: Message) -> None:
        """Delivers a message until it is acknowledged, while everything works.

        Which message causes a 500 only shows next to one that is accepted.
        """
        raise NotImplementedError

    def on_acknowledge(self, message: Message) -> None:
        """Notes that a message is being acknowledged."""
        if not self.is_safe(message):
            self.too_soon.append(message)

    def is_safe(self, message: Message) -> bool:
        """Returns whether AEP has accepted this very message, or it is a dead letter."""
        is_dead_letter = any(letter.data == message.data for letter in self.letters)
        return is_dead_letter or self.is_accepted(message)

    def is_accepted(self, message: Message) -> bool:
        """Returns whether AEP has accepted this very message."""
        return not is_foreign(message) and self.aep.has_accepted(orjson.loads(message.data))

    def failed_for_it_alone(self, letter: Message) -> bool:
        """Returns whether AEP failed twice on this alone, and accepted another after each time.

        It may have by chance, which cannot be distinguished from a poison message.
        """
        key = orjson.loads(letter.data)["receivedAt"]
        evidence = 0
        for keys, status in self.aep.answered:
            failed_alone = (keys, status) == ([key], 500)
            is_alive = status == 207 and key not in keys
            evidence += failed_alone if evidence % 2 == 0 else is_alive
        return evidence >= 4

    @property
    def events(self) -> list[Message]:
        """The messages on the topic of events."""
        return self.pubsub.topics[TOPIC]

    @property
    def letters(self) -> list[Message]:
        """The messages on the topic of dead letters."""
        return self.pubsub.topics.get(DEAD_TOPIC, [])

    @property
    def waiting(self) -> list[Waiting]:
        """The requests without an answer."""
        return [one for one in self.unanswered if not one.answer.done()]

    def new_webhook(self, kind: Kind, size: int) -> bytes:
        """Returns the body of an event, whose kind is in its ID."""
        number = len(self.webhooks)
        if kind == "invalid":
            return orjson.dumps([number, PROPERTIES[size]])
        event_id = f"{kind}-{number}"
        body: dict[str, Any] = {
            "event": UNPUBLISHABLE if kind == "unpublishable" else "guideDisplayed",
            "uniqueId": event_id,
            "visitorId": "visitor",
            "accountId": "account",
            "timestamp": 1760000000,
            "properties": PROPERTIES[size],
        }
        self.expected[event_id] = {
            "id": event_id,
            "type": "guide.displayed",
            "pendoEvent": "guideDisplayed",
            "occurredAt": "2025-10-09T08:53:20.000Z",
            "visitorId": "visitor",
            "accountId": "account",
            "schemaVersion": 1,
        }
        if size:
            self.expected[event_id]["properties"] = PROPERTIES[size]
        return orjson.dumps(body)

    def send_webhook(self, body: bytes) -> None:
        """Sends it to `receive`; one that cannot be published takes a second call."""
        answer = self.loop.create_task(self.answer_of_receive(body))
        times = 2 if UNPUBLISHABLE.encode() in body else 1
        webhook = Webhook(answer, self.loop.time() + times * PUBLISH_SECONDS, body)
        self.webhooks.append(webhook)
        self.unanswered.append(webhook)

    def all_calls_end(self, how: CallEnd | None) -> None:
        """Sets how all calls to Pub/Sub end from now on."""
        self.pubsub.ends_at_once = dict.fromkeys(self.places, how)

    def go_on(self, seconds: Then) -> None:
        """Lets time pass; with 0 only what is ready happens, with None nothing."""
        if seconds is not None:
            self.runner.run(asyncio.sleep(seconds))
            self.runner.run(settle())

    def now(self) -> datetime:
        """Returns another time at each call, which distinguishes messages."""
        self.readings += 1
        return EPOCH + timedelta(milliseconds=self.readings)

    async def answer_of_receive(self, body: bytes) -> Response:
        """Calls the instance that runs now."""
        return await self.functions.receive(request(body))

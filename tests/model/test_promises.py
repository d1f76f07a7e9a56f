"""The promises of the specification as a state machine, over the functions as they are.

Arrivals, deliveries, outcomes of every call, clients that hang up, deaths of the instances and time
come in any order. A ledger holds what Pendo and Pub/Sub were told, against what is stored.
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from typing import Literal, TypeAlias

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from starlette.responses import Response

from local.clock import LeapingLoop
from tests.group_commit_bench import settle
from tests.model.functions import DEAD_TOPIC, DEADLINE_SECONDS, TOPIC, Functions, request
from tests.model.stores import (
    POSTINGS,
    PUBLISHINGS,
    UNPUBLISHABLE,
    AepModel,
    Message,
    Posting,
    Publishing,
    PubSubModel,
)

Kind: TypeAlias = Literal["fine", "rejected", "breaking", "poison", "unpublishable", "unreadable"]
KINDS: tuple[Kind, ...] = (
    "fine", "fine", "fine", "rejected", "breaking", "poison", "unpublishable", "unreadable",
)  # fmt: skip
# What an event of each kind may be buried for by `deliver`; the others never are.
CAUSES = {"rejected": "rejected", "breaking": "rejected", "poison": "poison"}
COMPANION = Message(b'{"id":"fine-","type":"t","occurredAt":"o"}', {"eventId": "fine-"})
PUBLISH_SECONDS = 8.0
# What comes after a step: nothing at all, all that is ready, or some time.
THEN: st.SearchStrategy[float | None] = st.sampled_from([None, 0.0, 0.02, 0.02, 0.5])


@dataclass(frozen=True, slots=True)
class Told:
    """Someone who waits for an answer, or has one."""

    body: bytes
    message: Message | None  # of a push, what it delivers
    answer: asyncio.Task[Response]
    by: float  # when there must be one

    @property
    def status(self) -> int | None:
        """The status; None while there is none, or when nobody waits for it any more."""
        if not self.answer.done() or self.answer.cancelled():
            return None
        return self.answer.result().status_code


class PromisesMachine(RuleBasedStateMachine):
    """One instance of each function, and all that can happen around them."""

    @initialize(kinds=st.lists(st.sampled_from(KINDS), max_size=6))
    def begin(self, kinds: list[Kind]) -> None:
        """Some events lie on the topic already."""
        self.runner = asyncio.Runner(loop_factory=LeapingLoop)
        self.loop = self.runner.get_loop()
        self.pubsub, self.aep = PubSubModel(), AepModel()
        self.functions = Functions.start(self.pubsub, self.aep)
        self.webhooks: list[Told] = []
        self.pushes: list[Told] = []
        self.acknowledged: list[Message] = []
        self.pubsub.ends_at_once = "stored"
        for kind in kinds:
            self.send_webhook(self.new_webhook(kind))
        self.go_on(0.0)
        self.pubsub.ends_at_once = None

    @rule(kind=st.sampled_from(KINDS), then=THEN)
    def webhook_arrives(self, kind: Kind, then: float | None) -> None:
        """Pendo sends an event that has not been sent before."""
        self.send_webhook(self.new_webhook(kind))
        self.go_on(then)

    @precondition(lambda self: self.webhooks)
    @rule(which=st.integers(min_value=0), then=THEN)
    def webhook_comes_again(self, which: int, then: float | None) -> None:
        """Pendo sends an event that it has sent already."""
        self.send_webhook(self.webhooks[which % len(self.webhooks)].body)
        self.go_on(then)

    @precondition(lambda self: self.events)
    @rule(first=st.integers(min_value=0), many=st.integers(1, 6), then=THEN)
    def messages_are_pushed(self, first: int, many: int, then: float | None) -> None:
        """Pub/Sub delivers what lies on the topic, sometimes again; that is its right."""
        owed = self.owed or self.events
        for message in [*owed, *owed][first % len(owed) :][: min(many, len(owed))]:
            self.push(message)
        self.go_on(then)

    @precondition(lambda self: self.pubsub.open)
    @rule(which=st.integers(min_value=0), how=st.sampled_from(("stored", *PUBLISHINGS)), then=THEN)
    def publish_ends(self, which: int, how: Publishing, then: float | None) -> None:
        """Pub/Sub answers a Publish call, perhaps after its caller has given up."""
        self.pubsub.end(self.pubsub.open[which % len(self.pubsub.open)], how)
        self.go_on(then)

    @precondition(lambda self: self.aep.open)
    @rule(which=st.integers(min_value=0), how=st.sampled_from(POSTINGS), then=THEN)
    def request_ends(self, which: int, how: Posting, then: float | None) -> None:
        """AEP answers a request, perhaps too late."""
        self.aep.end(self.aep.open[which % len(self.aep.open)], how)
        self.go_on(then)

    @rule(how=st.sampled_from((None, "stored", *PUBLISHINGS)))
    def pubsub_goes_on_so(self, how: Publishing | None) -> None:
        """From now on Pub/Sub answers each call at once, in the same way; or leaves it open."""
        self.pubsub.ends_at_once = how

    @rule(how=st.sampled_from((None, "honest", "honest", *POSTINGS)))
    def aep_goes_on_so(self, how: Posting | None) -> None:
        """From now on AEP answers each request at once, in the same way; or leaves it open."""
        self.aep.ends_at_once = how

    @rule(
        turns=st.integers(0, 3),
        then=st.lists(st.sampled_from(("honest", "failing")), max_size=4),
    )
    def aep_flickers(self, turns: int, then: list[Posting]) -> None:
        """AEP answers its next requests at once, some of them with a 500 of its own.

        By turns is how it looks as if one of two messages were at fault.
        """
        self.aep.next_ends = [*(("failing", "honest") * turns), *then]

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(min_value=0), then=THEN)
    def client_hangs_up(self, which: int, then: float | None) -> None:
        """A client goes away while its request waits, and the request is cancelled."""
        self.waiting[which % len(self.waiting)].answer.cancel()
        self.go_on(then)

    @rule()
    def instances_die(self) -> None:
        """Both functions stop on the spot, with all that they hold, and others start."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.go_on(0.0)
        self.functions = Functions.start(self.pubsub, self.aep)

    @rule(seconds=st.sampled_from([0.0, 2.0, 10.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        """Time passes; what gives up meanwhile does."""
        self.go_on(seconds)

    @invariant()
    def what_is_acknowledged_is_safe(self) -> None:
        """Whoever was told 2xx was told the truth, and nobody is told nothing for ever."""
        letters = self.letters
        stored = {message.attributes["eventId"] for message in self.events}
        for webhook in self.webhooks:
            match webhook.status:
                case 200:
                    event_id = orjson.loads(webhook.body)["uniqueId"]
                    assert orjson.loads(webhook.answer.result().body)["id"] == event_id
                    assert event_id in stored
                case 202:
                    assert webhook.body in {letter.data for letter in letters}
                case status:
                    assert status in {None, 503}
        for push in self.pushes:
            assert push.status in {None, 204, 429, 503}
            if push.status == 204:
                assert push.message
                self.acknowledged.append(push.message)
                buried = any(letter.data == push.message.data for letter in letters)
                assert buried or push.message.attributes["eventId"] in self.aep.accepted
        self.pushes = [push for push in self.pushes if not push.answer.done()]
        for told in self.waiting:
            assert self.loop.time() <= told.by, "no answer"

    @invariant()
    def only_what_is_wrong_is_buried(self) -> None:
        """A dead letter says why, and an outage is no reason."""
        for letter in self.letters:
            event_id = letter.attributes["eventId"]
            kind, reason = event_id.partition("-")[0], letter.attributes["reason"]
            if letter.attributes["stage"] == "deliver":
                is_poison_in_effect = reason == "poison" and self.failed_for_it_alone(event_id)
                assert reason == CAUSES.get(kind) or is_poison_in_effect
                assert kind not in CAUSES or event_id not in self.aep.accepted
            else:
                assert reason in {"unpublishable", "not_an_event"}
                assert not event_id.startswith(("fine", *CAUSES))

    def teardown(self) -> None:
        """Once everything works again, whatever was accepted comes to its right end."""
        with self.runner:
            self.pubsub.ends_at_once, self.aep.ends_at_once = "stored", "honest"
            self.aep.next_ends = []
            self.time_passes(40.0)
            for message in self.owed:
                self.push(COMPANION)  # AEP is seen to be back, and the brake is off
                self.time_passes(10.0)
                # Who is at fault of a 500 is only seen beside one that is accepted.
                self.push(message)
                self.push(COMPANION)
                self.time_passes(10.0)
                self.what_is_acknowledged_is_safe()
                self.only_what_is_wrong_is_buried()
            assert not self.owed, "never acknowledged"
            buried = {letter.attributes["eventId"] for letter in self.letters}
            for message in self.events:
                event_id = message.attributes["eventId"]
                is_wrong = event_id.partition("-")[0] in CAUSES
                assert event_id in (buried if is_wrong else buried | self.aep.accepted)

    def failed_for_it_alone(self, event_id: str) -> bool:
        """Did AEP fail twice when it was sent this alone, and take another after each time?

        By chance it may have, and nobody could tell that from a message that it fails on.
        """
        told = 0
        for ids, status in self.aep.answered:
            is_evidence = (ids, status) == ([event_id], 500)
            is_alive = status == 207 and event_id not in ids
            told += is_evidence if told % 2 == 0 else is_alive
        return told >= 4

    @property
    def events(self) -> list[Message]:
        """What lies on the topic of events."""
        return self.pubsub.topics.get(TOPIC, [])

    @property
    def letters(self) -> list[Message]:
        """What lies on the topic of dead letters."""
        return self.pubsub.topics.get(DEAD_TOPIC, [])

    @property
    def owed(self) -> list[Message]:
        """What Pub/Sub must deliver still: each message once for each time it was published."""
        return [m for m in self.events if not any(m is done for done in self.acknowledged)]

    @property
    def waiting(self) -> list[Told]:
        """Who waits for an answer."""
        return [told for told in (*self.webhooks, *self.pushes) if not told.answer.done()]

    def new_webhook(self, kind: Kind) -> bytes:
        """The body of an event; what becomes of it is in its id."""
        number = len(self.webhooks)
        if kind == "unreadable":
            return b"[%d]" % number
        event = UNPUBLISHABLE if kind == "unpublishable" else "guideDisplayed"
        return orjson.dumps({"event": event, "uniqueId": f"{kind}-{number}"})

    def send_webhook(self, body: bytes) -> None:
        """Sends it to `receive`; one that cannot be published is published twice, as a letter."""
        answer = self.loop.create_task(self.answer_of_receive(body))
        times = 2 if UNPUBLISHABLE.encode() in body else 1
        by = self.loop.time() + times * PUBLISH_SECONDS
        self.webhooks.append(Told(body, None, answer, by))

    def push(self, message: Message) -> None:
        """Delivers a message to `deliver`; its end may be a letter, which takes its own time."""
        envelope = {
            "data": base64.b64encode(message.data).decode(),
            "attributes": message.attributes,
        }
        body = orjson.dumps({"message": envelope})
        answer = self.loop.create_task(self.answer_of_deliver(body))
        by = self.loop.time() + DEADLINE_SECONDS + PUBLISH_SECONDS
        self.pushes.append(Told(body, message, answer, by))

    def go_on(self, seconds: float | None) -> None:
        """Lets time pass, or no time but all that is ready; with None, not even that."""
        if seconds is not None:
            self.runner.run(asyncio.sleep(seconds))
            self.runner.run(settle())

    async def answer_of_receive(self, body: bytes) -> Response:
        """Of the instance that runs now."""
        return await self.functions.receive(request(body))

    async def answer_of_deliver(self, body: bytes) -> Response:
        """Of the instance that runs now."""
        return await self.functions.deliver(request(body))


PromisesMachine.TestCase.settings = settings(deadline=None, stateful_step_count=60)
TestPromises = PromisesMachine.TestCase

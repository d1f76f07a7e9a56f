"""The promises of the specification, for messages that are pushed to `deliver`."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from starlette.responses import Response

from tests.model.functions import DEADLINE_SECONDS, request
from tests.model.pipeline import PUBLISH_SECONDS, THEN, PipelineMachine, Then, Waiting
from tests.model.stores import Message

pytestmark = pytest.mark.slow

COMPANION = Message(
    b'{"id":"fine-","type":"t","occurredAt":"o","receivedAt":"r"}', {"eventId": "fine-"}
)


@dataclass(slots=True, eq=False)
class Push(Waiting):
    """One delivery of a message."""

    message: Message


class PushMachine(PipelineMachine):
    """Pub/Sub pushes the messages of the topic."""

    def __init__(self) -> None:
        super().__init__()
        self.pushes: list[Push] = []
        self.pushed: list[Message] = []  # and acknowledged by the answer

    @precondition(lambda self: self.events)
    @rule(first=st.integers(min_value=0), many=st.integers(1, 6), then=THEN)
    def messages_are_pushed(self, first: int, many: int, then: Then) -> None:
        """Pub/Sub delivers messages of the topic, sometimes repeatedly, as it may."""
        owed = self.owed or self.events
        for message in [*owed, *owed][first % len(owed) :][: min(many, len(owed))]:
            self.push(message)
        self.go_on(then)

    @invariant()
    def answers_are_as_specified(self) -> None:
        """An answer acknowledges a message, or makes it come again."""
        for push in self.pushes:
            assert push.status in {None, 204, 429, 503}
        self.pushes = [push for push in self.pushes if not push.answer.done()]

    @property
    def acknowledged(self) -> list[Message]:
        """The acknowledged messages."""
        return self.pushed

    @property
    def waiting(self) -> list[Waiting]:
        """The requests without an answer."""
        return [*super().waiting, *(push for push in self.pushes if not push.answer.done())]

    def settle_message(self, message: Message) -> None:
        """Delivers a message together with one that AEP accepts."""
        self.push(COMPANION)  # AEP is seen to be back, and the circuit closes
        self.time_passes(10.0)
        self.push(message)
        self.push(COMPANION)
        self.time_passes(10.0)

    def push(self, message: Message) -> None:
        """Pushes a message to `deliver`; it may become a dead letter, which takes its own time."""
        answer = self.loop.create_task(self.answer_of_deliver(message))
        by = self.loop.time() + DEADLINE_SECONDS + PUBLISH_SECONDS
        self.pushes.append(Push(answer, by, message))

    async def answer_of_deliver(self, message: Message) -> Response:
        """Calls the instance that runs now."""
        envelope = {
            "data": base64.b64encode(message.data).decode(),
            "attributes": message.attributes,
        }
        answer = await self.functions.deliver(request(orjson.dumps({"message": envelope})))
        if answer.status_code == 204:
            self.on_acknowledge(message)
            self.pushed.append(message)
        return answer


PushMachine.TestCase.settings = settings(deadline=None, stateful_step_count=60)
TestPromises = PushMachine.TestCase

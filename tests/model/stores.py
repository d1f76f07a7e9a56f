"""Pub/Sub and AEP for a model: each call waits until a rule says how it ends, and what it did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

import grpc
import grpc.aio
import orjson

from pendo_aep.inlet import Answer, NoAnswer
from pendo_aep.pubsub_messages import PublishResponse

# How Publish ends. Of the last, gRPC cannot know whether the server has stored it: it has.
Publishing: TypeAlias = Literal["stored", "unavailable", "denied", "answer lost"]
# How a request to AEP ends; in the second line, it has taken what it takes.
Posting: TypeAlias = Literal[
    "throttled", "down", "failing", "unauthorised", "no such inlet", "cut before", "garbled before",
    "honest", "cut after", "garbled after", "one entry short",
]  # fmt: skip
PUBLISHINGS: tuple[Publishing, ...] = get_args(Publishing)
POSTINGS: tuple[Posting, ...] = get_args(Posting)
UNPUBLISHABLE = "unpublishable"


@dataclass(frozen=True, slots=True)
class Message:
    """What lies on a topic."""

    data: bytes
    attributes: dict[str, str]


@dataclass(slots=True, eq=False)
class OpenCall:
    """A call that has reached the server; whoever made it may have stopped waiting since."""

    request: Any
    answer: asyncio.Future[Any] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def end(self, answer: object) -> None:
        """Answers, if anybody still listens."""
        if self.answer.done():
            return
        if isinstance(answer, BaseException):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


class PubSubModel:
    """A server of Publish; it is the channel to itself."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Message]] = {}
        self.open: list[OpenCall] = []
        self.ends_at_once: Publishing | None = None

    def unary_unary(self, *_: object, **__: object) -> Callable[..., Any]:
        """What a channel makes of a method's name: the method."""
        return self._publish

    async def _publish(self, request: Any, *, metadata: object, timeout: float) -> Any:  # noqa: ARG002, ASYNC109 (gRPC's)
        call = OpenCall(request)
        self.open.append(call)
        if self.ends_at_once:
            self.end(call, self.ends_at_once)
        try:
            return await asyncio.wait_for(call.answer, timeout)
        except TimeoutError:
            raise _error(grpc.StatusCode.DEADLINE_EXCEEDED) from None

    def end(self, call: OpenCall, how: Publishing) -> None:
        """Ends a call; a message that nothing can store makes the server refuse all of a call."""
        self.open.remove(call)
        messages = [Message(m.data, dict(m.attributes)) for m in call.request.messages]
        topic = self.topics.setdefault(call.request.topic, [])
        if any(message.attributes.get("pendoEvent") == UNPUBLISHABLE for message in messages):
            call.end(_error(grpc.StatusCode.INVALID_ARGUMENT))
        elif how == "denied":
            call.end(_error(grpc.StatusCode.PERMISSION_DENIED))
        elif how == "unavailable":
            call.end(_error(grpc.StatusCode.UNAVAILABLE))
        else:
            ids = [str(len(topic) + number) for number in range(len(messages))]
            topic += messages
            lost = how == "answer lost"
            call.end(
                _error(grpc.StatusCode.UNAVAILABLE) if lost else PublishResponse(message_ids=ids)
            )


class AepModel:
    """An inlet; by its id an event is one that is refused, or one that breaks a whole batch."""

    def __init__(self) -> None:
        self.accepted: set[str] = set()
        self.answered: list[tuple[list[str], int]] = []  # ids, status
        self.open: list[OpenCall] = []
        self.ends_at_once: Posting | None = None
        self.next_ends: list[Posting] = []  # come before that

    async def post(self, messages: Sequence[bytes], until: float) -> Answer:
        """`sender.Poster`."""
        call = OpenCall([orjson.loads(message)["id"] for message in messages])
        self.open.append(call)
        if how := self.next_ends.pop(0) if self.next_ends else self.ends_at_once:
            self.end(call, how)
        try:
            async with asyncio.timeout_at(until):
                answer: Answer = await call.answer
                return answer
        except TimeoutError:
            raise NoAnswer("timeout") from None

    def end(self, call: OpenCall, how: Posting) -> None:
        """Ends a request, by what is in it unless AEP fails in that moment."""
        self.open.remove(call)
        answer = self._answer(call.request, how)
        self.answered.append((call.request, answer.status if isinstance(answer, Answer) else 0))
        call.end(answer)

    def _answer(self, ids: Sequence[str], how: Posting) -> Answer | NoAnswer:
        match how:
            case "throttled":
                return Answer(429, b"", 1.0)
            case "down":
                return Answer(503, b"")
            case "failing":
                return Answer(500, b"")
            case "unauthorised":
                return Answer(401, b"")
            case "no such inlet":
                return Answer(404, b"")
            case "cut before":
                return NoAnswer("out_of_reach")
            case "garbled before":
                return Answer(207, b"<html>")
            case _ if any(event_id.startswith("poison") for event_id in ids):
                return Answer(500, b"")
            case _ if any(event_id.startswith("breaking") for event_id in ids):
                return Answer(400, b"")
            case _:
                self.accepted |= {one for one in ids if not one.startswith("rejected")}
                return _taken(ids, how)


def _taken(ids: Sequence[str], how: Posting) -> Answer | NoAnswer:
    if how == "cut after":
        return NoAnswer("out_of_reach")
    if how == "garbled after":
        return Answer(207, b"<html>")
    entries: list[dict[str, object]] = [
        {"statusCode": 400, "message": "wrong"}
        if event_id.startswith("rejected")
        else {"xactionId": f"1:2:{place}"}
        for place, event_id in enumerate(ids)
    ]
    missing = 1 if how == "one entry short" else 0
    return Answer(207, orjson.dumps({"responses": entries[missing:]}))


def _error(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "as modelled")

"""Pub/Sub and AEP for a model: a rule says how each call ends and whether it took effect.

Not modelled: order keys, exactly-once delivery, retry and dead-letter policies, and limits on size.
`local/pubsub` has those, and is compared with Google's emulator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast, get_args

import grpc
import grpc.aio
import orjson
from google.protobuf.empty_pb2 import Empty

from local.aep.inlet import MAX_REQUEST_BYTES
from pendo_aep.aep.client import NoResponse, Response
from pendo_aep.outcome import RetryReason
from pendo_aep.pubsub.client import PublishResponse, PullResponse

# How a call to Pub/Sub ends. After the last, gRPC cannot know whether it took effect: it
# has.
CallEnd: TypeAlias = Literal["done", "unavailable", "denied", "answer lost"]
# How a request to AEP ends; in the last line, AEP has accepted what it accepts.
RequestEnd: TypeAlias = Literal[
    "throttled", "down", "failing", "unauthorised", "no such inlet", "wrong setting", "cut before",
    "garbled before",
    "honest", "cut after", "garbled after", "one entry short",
]  # fmt: skip
_FAILURES: dict[RequestEnd, Response] = {
    "throttled": Response(429, b"", 1.0),
    "down": Response(503, b""),
    "failing": Response(500, b""),
    "unauthorised": Response(401, b""),
    "no such inlet": Response(404, b""),
    "wrong setting": Response(400, b'{"message": "The \'header\' field is mandatory"}'),
    "garbled before": Response(207, b"<html>"),
}
CALL_ENDS: tuple[CallEnd, ...] = get_args(CallEnd)
REQUEST_ENDS: tuple[RequestEnd, ...] = get_args(RequestEnd)
PULL, ACKNOWLEDGE, LEASE = "Pull", "Acknowledge", "ModifyAckDeadline"
UNPUBLISHABLE = "unpublishable"
# Google: the default of a subscription.
ACK_DEADLINE_SECONDS = 10.0

CALLER: ContextVar[object] = ContextVar("CALLER", default=None)
"""On whose behalf a call is made; tasks inherit it."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message on a topic."""

    data: bytes
    attributes: dict[str, str]


@dataclass(slots=True, eq=False)
class OpenCall:
    """A call that has reached the server; its caller may have stopped waiting.

    Attributes:
        place: A topic for Publish, else the method.
        bytes: The size of its messages, for AEP.
        caller: See `CALLER`.
        has_succeeded: Whether the caller has got a good answer.
    """

    request: Any
    place: str = ""
    bytes: int = 0
    caller: object = None
    has_succeeded: bool = False
    answer: asyncio.Future[Any] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def end(self, answer: object) -> None:
        """Answers, if the caller still waits."""
        if self.answer.done():
            return
        if isinstance(answer, BaseException):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


@dataclass(slots=True, eq=False)
class Lease:
    """One delivery of a message by a pull.

    Attributes:
        holder: The run that has got it; None before it arrives.
        unheard: Extensions that were requested since the last that took effect.
    """

    ack_id: str
    message: Message
    until: float
    holder: object = None
    unheard: int = 0
    is_over: bool = False  # acknowledged, returned, or expired and delivered again


class SubscriptionModel:
    """The messages of one subscription, and who holds them until when.

    An acknowledgement after the deadline has no effect: Google promises no more.
    """

    def __init__(self, backlog: list[Message], clock: Callable[[], float]) -> None:
        self.acknowledged: list[Message] = []
        self.leases: dict[str, Lease] = {}
        self.expired: list[tuple[Lease, float]] = []  # delivered again at this time
        # What it delivers of the waiting messages: Google promises no order, nor all at once.
        self.offers: list[Message] | None = None
        self._backlog = backlog
        self._clock = clock

    def pull(self, limit: int) -> list[Lease]:
        """Delivers waiting messages."""
        now = self._clock()
        leases = []
        for message in list(self._waiting())[:limit]:
            for lease in self.leases.values():
                if lease.message is message and not lease.is_over:
                    lease.is_over = True
                    self.expired.append((lease, now))
            ack_id = f"ack-{len(self.leases)}"
            self.leases[ack_id] = Lease(ack_id, message, now + ACK_DEADLINE_SECONDS)
            leases.append(self.leases[ack_id])
        return leases

    def extend(self, ack_ids: Sequence[str], seconds: float) -> None:
        """Extends deadlines that have not passed; 0 returns the messages."""
        for lease in self._held(ack_ids):
            lease.until = self._clock() + seconds
            lease.unheard = 0
            lease.is_over = seconds == 0

    def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """Acknowledges messages whose deadline has not passed."""
        for lease in self._held(ack_ids):
            lease.is_over = True
            self.acknowledged.append(lease.message)

    def _waiting(self) -> Iterator[Message]:
        held = [
            lease.message
            for lease in self.leases.values()
            if not lease.is_over and lease.until > self._clock()
        ]
        for message in self._backlog if self.offers is None else self.offers:
            if not any(message is other for other in (*held, *self.acknowledged)):
                yield message

    def _held(self, ack_ids: Sequence[str]) -> list[Lease]:
        leases = [self.leases[ack_id] for ack_id in ack_ids]
        return [one for one in leases if not one.is_over and one.until > self._clock()]


class PubSubModel:
    """A server with topics, and one subscription to one of them."""

    def __init__(
        self,
        subscribed: str,
        clock: Callable[[], float],
        on_acknowledge: Callable[[Message], None],
    ) -> None:
        """Takes the topic of the subscription, the clock, and a callback for acknowledgements."""
        self.topics: dict[str, list[Message]] = {subscribed: []}
        self.subscription = SubscriptionModel(self.topics[subscribed], clock)
        self.open: list[OpenCall] = []
        self.calls: list[OpenCall] = []  # all calls, also those that never arrived
        self.ends_at_once: dict[str, CallEnd | None] = {}  # by place
        self._on_acknowledge = on_acknowledge

    async def call(self, place: str, request: Any, seconds: float) -> Any:
        """Receives a call from a client that waits for so long."""
        call = OpenCall(request, place, caller=CALLER.get())
        self.open.append(call)
        self.calls.append(call)
        self._take_in(call)
        if how := self.ends_at_once.get(place):
            self.end(call, how)
        try:
            answer = await asyncio.wait_for(call.answer, seconds)
        except TimeoutError:
            raise _error(grpc.StatusCode.DEADLINE_EXCEEDED) from None
        call.has_succeeded = True
        if place == PULL:
            for received in answer.received_messages:
                self.subscription.leases[received.ack_id].holder = call.caller
        return answer

    def end(self, call: OpenCall, how: CallEnd, limit: int = 1000) -> None:
        """Ends a call; a pull delivers up to `limit` messages."""
        self.open.remove(call)
        if self._is_invalid(call):
            call.end(_error(grpc.StatusCode.INVALID_ARGUMENT))
        elif how == "denied":
            call.end(_error(grpc.StatusCode.PERMISSION_DENIED))
        elif how == "unavailable":
            call.end(_error(grpc.StatusCode.UNAVAILABLE))
        else:
            answer = self._do(call, limit)
            call.end(_error(grpc.StatusCode.UNAVAILABLE) if how == "answer lost" else answer)

    def _take_in(self, call: OpenCall) -> None:
        """Notes what a request asks for, whether it takes effect or not."""
        leases = self.subscription.leases
        if call.place == ACKNOWLEDGE:
            for ack_id in call.request.ack_ids:
                self._on_acknowledge(leases[ack_id].message)
        elif call.place == LEASE:
            for ack_id in call.request.ack_ids:
                leases[ack_id].unheard += 1

    @staticmethod
    def _is_invalid(call: OpenCall) -> bool:
        """Returns whether it has an invalid message, for which Pub/Sub rejects the whole call."""
        return call.place not in {PULL, ACKNOWLEDGE, LEASE} and any(
            message.attributes.get("pendoEvent") == UNPUBLISHABLE
            for message in call.request.messages
        )

    def _do(self, call: OpenCall, limit: int) -> Any:
        request = call.request
        if call.place == PULL:
            leases = self.subscription.pull(min(limit, request.max_messages))
            return PullResponse(
                received_messages=[
                    {
                        "ack_id": lease.ack_id,
                        "message": {
                            "data": lease.message.data,
                            "attributes": lease.message.attributes,
                        },
                    }
                    for lease in leases
                ]
            )
        if call.place == ACKNOWLEDGE:
            self.subscription.acknowledge(request.ack_ids)
            return Empty()
        if call.place == LEASE:
            self.subscription.extend(request.ack_ids, request.ack_deadline_seconds)
            return Empty()
        topic = self.topics.setdefault(request.topic, [])
        ids = [str(len(topic) + number) for number in range(len(request.messages))]
        topic += [Message(m.data, dict(m.attributes)) for m in request.messages]
        return PublishResponse(message_ids=ids)


class ChannelModel:
    """A channel to the server; on a silent one nothing arrives."""

    def __init__(self, channels: ChannelsModel) -> None:
        self._channels = channels
        self._is_closed = False
        self.is_silent = False

    def unary_unary(self, method: str, **_: object) -> Callable[..., Any]:
        """Returns a method of the server by its name."""
        rpc = method.rpartition("/")[2]

        async def call(request: Any, *, metadata: object, timeout: float) -> Any:  # noqa: ARG001, ASYNC109 (gRPC's)
            if self._channels.are_dead:
                raise asyncio.CancelledError
            if self._is_closed:
                raise grpc.aio.UsageError("Channel is closed.")
            place = request.topic if rpc == "Publish" else rpc
            if self.is_silent:
                self._channels.server.calls.append(OpenCall(request, place, caller=CALLER.get()))
                await asyncio.sleep(timeout)
                raise _error(grpc.StatusCode.DEADLINE_EXCEEDED)
            return await self._channels.server.call(place, request, timeout)

        return call

    async def close(self) -> None:
        """Closes the channel."""
        self._is_closed = True


class ChannelsModel:
    """The channels of one instance; nothing passes through them once it has crashed."""

    def __init__(self, server: PubSubModel) -> None:
        self.server = server
        self.are_dead = False
        self._opened: list[ChannelModel] = []

    def open(self) -> grpc.aio.Channel:
        """Opens a channel."""
        channel = ChannelModel(self)
        self._opened.append(channel)
        return cast("grpc.aio.Channel", channel)

    def go_silent(self) -> None:
        """Makes the open channels silent; new ones work."""
        for channel in self._opened:
            channel.is_silent = True


class AepModel:
    """An inlet; an event's ID says whether it is rejected, or breaks a whole batch."""

    def __init__(self) -> None:
        # By `receivedAt`, which differs in each message of the model.
        self.accepted: dict[str, dict[str, Any]] = {}
        self.requests: list[list[int]] = []  # the size of each message
        self.answered: list[tuple[list[str], int]] = []  # keys, status
        self.open: list[OpenCall] = []
        self.ends_at_once: RequestEnd | None = None
        self.next_ends: list[RequestEnd] = []  # used before that

    def has_accepted(self, event: dict[str, Any]) -> bool:
        """Returns whether it has accepted this very event, with all its fields."""
        taken = self.accepted.get(event["receivedAt"])
        return taken is not None and taken.items() >= event.items()

    async def post(self, messages: Sequence[bytes], until: float) -> Response:
        """Receives a request."""
        call = OpenCall([orjson.loads(message) for message in messages])
        self.open.append(call)
        self.requests.append([len(message) for message in messages])
        call.bytes = sum(self.requests[-1])
        if how := self.next_ends.pop(0) if self.next_ends else self.ends_at_once:
            self.end(call, how)
        try:
            async with asyncio.timeout_at(until):
                answer: Response = await call.answer
                return answer
        except TimeoutError:
            raise NoResponse(RetryReason.TIMEOUT) from None

    def end(self, call: OpenCall, how: RequestEnd) -> None:
        """Ends a request, by its messages unless AEP fails at that moment."""
        self.open.remove(call)
        answer = self._answer(call, how)
        keys = [event["receivedAt"] for event in call.request]
        self.answered.append((keys, answer.status if isinstance(answer, Response) else 0))
        call.end(answer)

    def _answer(self, call: OpenCall, how: RequestEnd) -> Response | NoResponse:
        if how == "cut before":
            return NoResponse(RetryReason.OUT_OF_REACH)
        if how in _FAILURES:
            return _FAILURES[how]
        ids = [event["id"] for event in call.request]
        if call.bytes > MAX_REQUEST_BYTES:
            return Response(413, b"")
        if any(event_id.startswith("poison") for event_id in ids):
            return Response(500, b"")
        if any(event_id.startswith("breaking") for event_id in ids):
            return Response(400, b"")
        for event in call.request:
            if not event["id"].startswith("rejected"):
                self.accepted[event["receivedAt"]] = event
        return _accepted(ids, how)


def _accepted(ids: Sequence[str], how: RequestEnd) -> Response | NoResponse:
    if how == "cut after":
        return NoResponse(RetryReason.OUT_OF_REACH)
    if how == "garbled after":
        return Response(207, b"<html>")
    entries: list[dict[str, object]] = [
        {"statusCode": 400, "message": "wrong"}
        if event_id.startswith("rejected")
        else {"xactionId": f"1:2:{place}"}
        for place, event_id in enumerate(ids)
    ]
    missing = 1 if how == "one entry short" else 0
    return Response(207, orjson.dumps({"responses": entries[missing:]}))


def _error(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "as modelled")

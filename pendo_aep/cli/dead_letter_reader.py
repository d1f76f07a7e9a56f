"""Reads the dead letters of a subscription; those that are not acknowledged are given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC
from itertools import islice
from math import inf
from typing import Any, Final, Self

import grpc.aio

from pendo_aep import clock
from pendo_aep.cli.dead_letter import DeadLetter
from pendo_aep.cli.terminal import CommandFailed
from pendo_aep.connection import Connection
from pendo_aep.lake.pubsub_calls import PubSubCalls
from pendo_aep.pubsub.client import (
    CallFailed,
    NoCredentials,
    PubSubConnection,
    connect,
)
from pendo_aep.pubsub.subscriber import Subscriber

_CONNECT_SECONDS: Final = 5.0
_CALL_SECONDS: Final = 10.0
# A quarter of what Google allows: an answer must be here before the pull's time is up, also over a
# slow line. With several under way, Pub/Sub is still asked for thousands a second.
_MAX_PULL: Final = 250
_PULLERS: Final = 4
# Google: Pub/Sub quotas, 512 KiB a request; ack ids have under 200 bytes.
_MAX_ACK_IDS: Final = 1000
# If this process is killed, its dead letters are out of reach for so long: not much over Google's
# minimum of 10 s, within which the first renewal must come.
_LEASE_SECONDS: Final = 15
_RENEW_SECONDS: Final = 4.0
_PAUSE_SECONDS: Final = 0.1
# A pull answers within this if there is anything for it.
_GRACE_SECONDS: Final = 1.0


@asynccontextmanager
async def open_channel() -> AsyncIterator[grpc.aio.Channel]:
    """Opens a channel to Pub/Sub that is known to be connected.

    Raises:
        CommandFailed: there are no credentials, or no server in reach.
    """
    try:
        channel = connect()
    except NoCredentials:
        raise CommandFailed(
            "there are no Google credentials: run `gcloud auth application-default login`, "
            "or set PUBSUB_EMULATOR_HOST for an emulator"
        ) from None
    async with channel:
        try:
            # Later, a server that does not answer could not be told from an empty subscription.
            async with asyncio.timeout(_CONNECT_SECONDS):
                await channel.channel_ready()
        except TimeoutError:
            raise CommandFailed(
                f"Pub/Sub is out of reach: no connection within {_CONNECT_SECONDS:.0f} s"
            ) from None
        yield channel


def explain(error: CallFailed) -> str:
    """Returns one line that says what Pub/Sub refused, and what to do about it."""
    said = " ".join(error.said.split())
    match error.code:
        case grpc.StatusCode.PERMISSION_DENIED:
            return f"no permission: {said} (the roles that suffice: roles/pubsub.viewer and, on \
the subscription, roles/pubsub.subscriber; to replay, roles/pubsub.publisher on PUBSUB_TOPIC)"
        case grpc.StatusCode.UNAUTHENTICATED:
            return f"Google rejects your login: {said} (gcloud auth application-default login)"
        case grpc.StatusCode.NOT_FOUND:
            return f"not found in Pub/Sub: {said}"
        case grpc.StatusCode.FAILED_PRECONDITION:
            return f"Pub/Sub cannot do this: {said} (only a pull subscription can be read)"
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"Pub/Sub is out of reach: {said}"
    return f"Pub/Sub refused: {error.code.name}: {said}"


async def find_subscription(channel: grpc.aio.Channel, topic: str) -> str:
    """Returns the path of the one pull subscription of a topic.

    Raises:
        CommandFailed: it has none, or several.
        CallFailed: Pub/Sub does not say.
    """
    calls = PubSubCalls(channel)
    names = [name async for name in _subscriptions(calls, topic) if await _is_pull(calls, name)]
    if len(names) == 1:
        return names[0]
    if names:
        raise CommandFailed(
            f"{topic} has several pull subscriptions; choose one with --subscription: "
            + ", ".join(names)
        )
    _, project, _, name = topic.split("/")
    raise CommandFailed(
        f"{topic} has no pull subscription, so its dead letters are not kept; to keep new ones: "
        f"gcloud pubsub subscriptions create {name}-kept --topic={name} --project={project} "
        "--message-retention-duration=31d --expiration-period=never"
    )


async def _subscriptions(calls: PubSubCalls, topic: str) -> AsyncIterator[str]:
    token = ""
    while True:
        page = await calls("ListTopicSubscriptions", topic=topic, page_token=token)
        for name in page.subscriptions:
            yield name
        token = page.next_page_token
        if not token:
            return


async def _is_pull(calls: PubSubCalls, name: str) -> bool:
    subscription = await calls("GetSubscription", subscription=name)
    return not (
        subscription.push_config.push_endpoint
        or subscription.bigquery_config.table
        or subscription.cloud_storage_config.bucket
        or subscription.detached
    )


def _connection(channel: grpc.aio.Channel) -> PubSubConnection:
    """Returns a connection that never cuts a call short.

    A pull may take all of its time for one attempt: one that is cut off may have leased messages.
    """
    return Connection(
        "Pub/Sub", lambda: channel, lambda channel: channel.close(), silent_seconds=inf
    )


class DeadLetterReader:
    """`async with DeadLetterReader(...) as reader`: at its end, what it still holds is given back.

    Attributes:
        opened_at: dead letters that were published after this moment are new to this run.
        is_stopped: whether nothing more is pulled.
    """

    def __init__(
        self, channel: grpc.aio.Channel, subscription: str, *, wait: float, hold: int
    ) -> None:
        """Takes a connected channel, the subscription, and the bounds of a run.

        Args:
            channel: to Pub/Sub.
            subscription: `projects/P/subscriptions/S`, a pull subscription.
            wait: how many seconds without a dead letter mean that there are no more.
            hold: how many dead letters may be held at a time.
        """
        self.opened_at = clock.now()
        self.is_stopped = False
        self._subscription = subscription
        self._wait = wait
        self._hold = hold
        self._requested = 0  # messages that the pulls under way may bring
        self._ack_ids: dict[str, str] = {}  # of the messages that are held, by message id
        self._pulls: set[asyncio.Task[list[DeadLetter]]] = set()
        self._subscriber = Subscriber(subscription, _connection(channel))
        self._calls = PubSubCalls(channel)

    @property
    def is_full(self) -> bool:
        """Whether as many are held as may be: there may be more on the server."""
        return len(self._ack_ids) >= self._hold

    async def __aenter__(self) -> Self:
        self._renewal = asyncio.create_task(self._renew())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.is_stopped = True
        if self._pulls:  # interrupted: what they still bring must go back too
            await asyncio.wait(self._pulls, timeout=_GRACE_SECONDS)
        ended = [self._renewal, *self._pulls]
        for task in ended:
            task.cancel()
        await asyncio.wait(ended)
        await self._modify_ack_deadline(0)

    def stop(self) -> None:
        """Pulls no more."""
        self.is_stopped = True

    async def pull(self) -> list[DeadLetter]:
        """Returns the next dead letters, each under lease from now on; none if there are no more.

        Raises:
            CallFailed: Pub/Sub refuses, or is out of reach.
        """
        limit = min(_MAX_PULL, self._hold - len(self._ack_ids) - self._requested)
        if self.is_stopped or limit <= 0:
            return []
        self._requested += limit
        pull = asyncio.create_task(self._pull(limit))
        self._pulls.add(pull)
        pull.add_done_callback(self._end_pull)
        # A pull that is cut off may have leased messages already: nobody could give them back.
        return await asyncio.shield(pull)

    def _end_pull(self, pull: asyncio.Task[list[DeadLetter]]) -> None:
        self._pulls.discard(pull)
        if not pull.cancelled():
            pull.exception()  # looked at, also when nobody waits: pulls fail together

    async def _pull(self, limit: int) -> list[DeadLetter]:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._wait
        try:
            # An empty answer may come early, and says nothing.
            while not self.is_stopped and (left := until - loop.time()) > 0:
                answer = await self._calls(
                    "Pull", seconds=left, subscription=self._subscription, max_messages=limit
                )
                if answer.received_messages:
                    return list(self._hold_new(answer.received_messages))
                await asyncio.sleep(min(_PAUSE_SECONDS, left))
        except CallFailed as error:
            if error.code is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
        finally:
            self._requested -= limit
        return []

    def _hold_new(self, received: Iterable[Any]) -> Iterator[DeadLetter]:
        for one in received:
            message = one.message
            # One whose lease ended is delivered again: it is held already, by another ack id.
            is_new = message.message_id not in self._ack_ids
            self._ack_ids[message.message_id] = one.ack_id
            if is_new:
                yield DeadLetter(
                    message.message_id,
                    message.publish_time.ToDatetime(UTC),
                    message.data,
                    dict(message.attributes),
                    len(message.data),
                )

    async def acknowledge(self, dead_letters: Iterable[DeadLetter]) -> None:
        """Removes these dead letters from the subscription.

        Raises:
            CallFailed: Pub/Sub did not confirm it.
        """
        held = iter([letter.message_id for letter in dead_letters])
        while some := list(islice(held, _MAX_ACK_IDS)):
            ack_ids = [self._ack_ids[one] for one in some]
            await self._calls("Acknowledge", subscription=self._subscription, ack_ids=ack_ids)
            for one in some:
                del self._ack_ids[one]

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            await self._modify_ack_deadline(_LEASE_SECONDS)

    async def _modify_ack_deadline(self, seconds: int) -> None:
        # If it fails, the leases end by themselves, and the messages are delivered again.
        await self._subscriber.modify_ack_deadline(list(self._ack_ids.values()), seconds)


async def read_all(
    reader: DeadLetterReader, handle: Callable[[Sequence[DeadLetter]], Awaitable[None]]
) -> None:
    """Passes every dead letter to `handle` that was there when the reader was opened.

    Newer ones are handled as they come, but not waited for: a replay that fails again makes new
    dead letters, and would never end.

    Raises:
        CallFailed: Pub/Sub refuses, or is out of reach.
    """

    async def read() -> None:
        while dead_letters := await reader.pull():
            await handle(dead_letters)
            if all(letter.published_at >= reader.opened_at for letter in dead_letters):
                return

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_PULLERS):
                group.create_task(read())
    except ExceptionGroup as failures:  # they fail together, by the same cause
        raise failures.exceptions[0] from None

"""Reaching Pub/Sub from a terminal, and finding the subscription that keeps the dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import grpc.aio
from google.api_core import exceptions, retry_async
from google.pubsub_v1 import PublisherAsyncClient, SubscriberAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport
from google.pubsub_v1.types import Subscription

from pendo_aep.cli.errors import CommandFailed
from pendo_aep.pubsub.client import NoCredentials, connect

CALL_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 5.0

# Google's own default would try for a minute, while a person waits.
RETRY: Final = retry_async.AsyncRetry(
    predicate=retry_async.if_exception_type(
        exceptions.Aborted, exceptions.ServiceUnavailable, exceptions.Unknown
    ),
    initial=0.1,
    maximum=1.0,
    multiplier=2.0,
    timeout=CALL_SECONDS,
)


@asynccontextmanager
async def open_channel() -> AsyncIterator[grpc.aio.Channel]:
    """A channel to Pub/Sub that is known to be connected.

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


def subscriber(channel: grpc.aio.Channel) -> SubscriberAsyncClient:
    """Google's client of subscriptions, on our channel."""
    return SubscriberAsyncClient(transport=SubscriberGrpcAsyncIOTransport(channel=channel))


async def find_subscription(channel: grpc.aio.Channel, topic: str) -> str:
    """The path of the one pull subscription of a topic.

    Raises:
        CommandFailed: it has none, or several.
        GoogleAPIError: Pub/Sub does not say.
    """
    publisher = PublisherAsyncClient(transport=PublisherGrpcAsyncIOTransport(channel=channel))
    listed = await publisher.list_topic_subscriptions(
        topic=topic, retry=RETRY, timeout=CALL_SECONDS
    )
    client = subscriber(channel)
    names = [
        name
        async for name in listed
        if _is_pull(
            await client.get_subscription(subscription=name, retry=RETRY, timeout=CALL_SECONDS)
        )
    ]
    if len(names) == 1:
        return names[0]
    if names:
        raise CommandFailed(
            f"{topic} has several pull subscriptions; choose one with --subscription: "
            + ", ".join(names)
        )
    _, project, _, name = topic.split("/")
    raise CommandFailed(
        f"{topic} has no pull subscription, so nobody keeps its letters; for those to come: "
        f"gcloud pubsub subscriptions create {name}-kept --topic={name} --project={project} "
        "--message-retention-duration=31d --expiration-period=never"
    )


def _is_pull(subscription: Subscription) -> bool:
    return not (
        subscription.push_config.push_endpoint
        or subscription.bigquery_config.table
        or subscription.cloud_storage_config.bucket
        or subscription.detached
    )

"""Starts the functions between a Pub/Sub server and an AEP stand-in, with topics and subscriptions.

Everything that runs the pipeline on one machine builds on `run_pipeline` or on its parts:
`PubSubAdmin` for topics and subscriptions, `receive_env` and `deliver_env` for the settings.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import aiohttp
import grpc.aio
from google.api_core.exceptions import DeadlineExceeded, ServiceUnavailable
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1 import PublisherAsyncClient, SubscriberAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport
from google.pubsub_v1.types import PubsubMessage, PushConfig, RetryPolicy, Subscription, Topic

from local.aep import AepServer
from local.functions import Function, Line

FunctionName = Literal["receive", "deliver", "drain"]

PROJECT_ID = "local"
EVENTS = "pendo-events"
DEAD = "pendo-events-dead"
PUSH = "pendo-events-deliver"
DRAIN = "pendo-events-drain"
DEAD_KEPT = "pendo-events-dead-kept"
SECRET = "local-webhook-secret"  # noqa: S105 (of this machine's pipeline only)
INLET = "local"  # short, because people type it
FLOW_ID = "local-flow"

# What `deliver` needs to write XDM; the stand-in accepts any values.
XDM_SETTINGS: Mapping[str, str] = {
    "AEP_FLOW_ID": FLOW_ID,
    "AEP_FORMAT": "xdm",
    "AEP_SCHEMA_ID": "https://ns.adobe.com/acme/schemas/0123456789abcdef",
    "AEP_DATASET_ID": "5da9452f7de80400007c52a1",
    "AEP_IMS_ORG_ID": "ACME@AdobeOrg",
    "AEP_TENANT_ID": "acme",
}
# deploy/config.env
_RETENTION_DAYS = {EVENTS: 7, DEAD: 31}
_PULL_SECONDS = 30.0
# The default of CLOUD_RUN_TIMEOUT_SECONDS: no call takes longer.
_CALL_SECONDS = 60.0
_CALL_PAUSE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The running functions, and what they leave in Pub/Sub.

    Attributes:
        functions: by entry point.
        admin: of the Pub/Sub server.
        dead_kept: the path of the subscription that keeps the dead letters.
    """

    functions: Mapping[str, Function]
    admin: PubSubAdmin
    dead_kept: str

    @property
    def receive(self) -> Function:
        """Returns the function that takes webhooks."""
        return self.functions["receive"]

    @property
    def deliver(self) -> Function:
        """Returns the function that Pub/Sub pushes to."""
        return self.functions["deliver"]

    @property
    def drain(self) -> Function:
        """Returns the function that pulls from Pub/Sub."""
        return self.functions["drain"]

    def dead_letters(self) -> AsyncIterator[PubsubMessage]:
        """Yields the dead letters for ever, and acknowledges them."""
        return self.admin.consume(self.dead_kept)


class PubSubAdmin:
    """Manages topics and subscriptions with Google's clients, on any server that speaks Pub/Sub."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Takes an open channel to the server."""
        self.publisher = PublisherAsyncClient(
            transport=PublisherGrpcAsyncIOTransport(channel=channel)
        )
        self.subscriber = SubscriberAsyncClient(
            transport=SubscriberGrpcAsyncIOTransport(channel=channel)
        )

    async def create_topics(self, project: str = PROJECT_ID) -> None:
        """Creates the topics of events and of dead letters, with a deployment's retention."""
        for topic, days in _RETENTION_DAYS.items():
            await self.publisher.create_topic(
                Topic(
                    name=f"projects/{project}/topics/{topic}",
                    message_retention_duration=Duration(seconds=days * 86_400),
                )
            )

    async def create_push_subscription(self, endpoint: str, project: str = PROJECT_ID) -> None:
        """Creates the push subscription of `deliver`, with shorter pauses than in a deployment."""
        await self.subscriber.create_subscription(
            Subscription(
                name=f"projects/{project}/subscriptions/{PUSH}",
                topic=f"projects/{project}/topics/{EVENTS}",
                push_config=PushConfig(push_endpoint=endpoint),
                ack_deadline_seconds=60,
                retry_policy=RetryPolicy(
                    minimum_backoff=Duration(seconds=1), maximum_backoff=Duration(seconds=5)
                ),
            )
        )

    async def create_pull_subscription(
        self, name: str, topic: str, project: str = PROJECT_ID, *, ack_deadline_seconds: int = 60
    ) -> str:
        """Creates a pull subscription on a topic and returns its path."""
        path = f"projects/{project}/subscriptions/{name}"
        await self.subscriber.create_subscription(
            Subscription(
                name=path,
                topic=f"projects/{project}/topics/{topic}",
                ack_deadline_seconds=ack_deadline_seconds,
            )
        )
        return path

    async def pull(self, subscription: str, seconds: float) -> list[PubsubMessage]:
        """Pulls once and returns what came, acknowledged; nothing if nothing came in time.

        Raises:
            GoogleAPICallError: the server refuses, such as a subscription that does not exist.
        """
        try:
            answer = await self.subscriber.pull(
                subscription=subscription, max_messages=1000, retry=None, timeout=seconds
            )
        except (DeadlineExceeded, ServiceUnavailable):
            return []  # no answer in time, or the server is busy for a moment
        if ack_ids := [received.ack_id for received in answer.received_messages]:
            await self.subscriber.acknowledge(subscription=subscription, ack_ids=ack_ids)
        return [received.message for received in answer.received_messages]

    async def consume(self, subscription: str) -> AsyncIterator[PubsubMessage]:
        """Yields the messages of a pull subscription for ever, and acknowledges them."""
        while True:
            for message in await self.pull(subscription, _PULL_SECONDS):
                yield message


@asynccontextmanager
async def administer(host: str) -> AsyncIterator[PubSubAdmin]:
    """Connects to the Pub/Sub server at `host`."""
    async with grpc.aio.insecure_channel(host) as channel:
        yield PubSubAdmin(channel)


@asynccontextmanager
async def run_pipeline(
    host: str,
    aep: AepServer,
    *,
    project: str = PROJECT_ID,
    functions: Sequence[FunctionName] = ("receive", "deliver"),
    receive_settings: Mapping[str, str] | None = None,
    deliver_settings: Mapping[str, str] | None = None,
    functions_host: str = "",
    ports: Mapping[FunctionName, int] | None = None,
    on_line: Callable[[str, Line], None] | None = None,
) -> AsyncIterator[Pipeline]:
    """Runs functions between a Pub/Sub server and AEP, with their topics and subscriptions.

    Args:
        host: the Pub/Sub server's address; it must not have anything of `project` yet.
        aep: the stand-in, running.
        project: keeps pipelines on one server apart.
        functions: which functions to run.
        receive_settings: further settings of `receive`.
        deliver_settings: further settings of `deliver` and `drain`.
        functions_host: where the functions reach Pub/Sub, if that is a proxy in front of `host`.
        ports: where the functions listen; any free port otherwise.
        on_line: is called with each log line of the functions.

    Raises:
        FunctionFailed: a function did not start.
    """
    reached = functions_host or host
    environments = {
        "receive": receive_env(reached, project, receive_settings),
        "deliver": deliver_env(reached, aep, project, deliver_settings),
        "drain": deliver_env(
            reached, aep, project, {"DRAIN_SUBSCRIPTION": DRAIN, **(deliver_settings or {})}
        ),
    }
    running: dict[str, Function] = {
        name: Function(name, environments[name], port=(ports or {}).get(name, 0), on_line=on_line)
        for name in functions
    }
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(administer(host))
        await admin.create_topics(project)
        dead_kept = await admin.create_pull_subscription(DEAD_KEPT, DEAD, project)
        if "drain" in running:
            # The shortest that Pub/Sub allows: a killed `drain` holds its messages for so long.
            await admin.create_pull_subscription(DRAIN, EVENTS, project, ack_deadline_seconds=10)
        async with asyncio.TaskGroup() as group:  # together, because starting takes longest
            for function in running.values():
                group.create_task(stack.enter_async_context(function))
        if "deliver" in running:
            await admin.create_push_subscription(running["deliver"].url, project)
        yield Pipeline(running, admin, dead_kept)


@asynccontextmanager
async def call_repeatedly(function: Function) -> AsyncIterator[None]:
    """Calls a function until the end of the block, as a scheduler calls `drain`, only sooner.

    One call follows the other. Of two at once, one may pull what the other returns at the moment
    it gives up waiting; Pub/Sub then keeps those messages until their ack deadline.
    """

    async def call() -> None:
        timeout = aiohttp.ClientTimeout(_CALL_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                # It may have been killed, and restart.
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.post(function.url) as response:
                        await response.read()
                # A function whose circuit breaker is open answers at once.
                await asyncio.sleep(_CALL_PAUSE_SECONDS)

    async with in_background(call()):
        yield


@asynccontextmanager
async def in_background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Does the work in the background until the end of the block.

    Raises:
        Exception: what ended the work before.
    """
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def receive_env(
    host: str, project: str = PROJECT_ID, settings: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Returns the settings that make `receive` part of the pipeline."""
    return {
        "GOOGLE_CLOUD_PROJECT": project,
        "PUBSUB_EMULATOR_HOST": host,
        "PENDO_WEBHOOK_SECRETS": SECRET,
        **(settings or {}),
    }


def deliver_env(
    host: str, aep: AepServer, project: str = PROJECT_ID, settings: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Returns the settings that make `deliver` or `drain` part of the pipeline."""
    return {
        "GOOGLE_CLOUD_PROJECT": project,
        "PUBSUB_EMULATOR_HOST": host,
        "AEP_ENDPOINT": aep.endpoint,
        "AEP_FLOW_ID": FLOW_ID,
        **(settings or {}),
    }


def pubsub_env(host: str, project: str = PROJECT_ID) -> dict[str, str]:
    """Returns the settings with which `pendo-aep` finds the topics and subscriptions."""
    return {
        "GOOGLE_CLOUD_PROJECT": project,
        "PUBSUB_EMULATOR_HOST": host,
        "PUBSUB_TOPIC": EVENTS,
        "DEAD_LETTER_TOPIC": DEAD,
        "PUSH_SUBSCRIPTION": PUSH,
        "DEAD_LETTER_SUBSCRIPTION": DEAD_KEPT,
    }


def token_settings(aep: AepServer) -> dict[str, str]:
    """Returns the settings with which `deliver` and `drain` get a token if the inlet needs one."""
    return {
        "AEP_CLIENT_ID": aep.client_id,
        "AEP_CLIENT_SECRET": aep.client_secret,
        "AEP_IMS_URL": aep.url,
    }

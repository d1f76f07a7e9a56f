"""The whole pipeline on this machine: a Pub/Sub server, an AEP stand-in and both functions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1 import PublisherAsyncClient, SubscriberAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport
from google.pubsub_v1.types import PushConfig, RetryPolicy, Subscription

from local.aep import AepServer
from local.functions import Function, Line

PROJECT_ID = "local"
EVENTS = "pendo-events"
DEAD = "pendo-events-dead"
PUSH = "pendo-events-deliver"
DEAD_KEPT = "pendo-events-dead-kept"
SECRET = "local-webhook-secret"  # noqa: S105 (of this machine's pipeline only)
INLET = "local"  # short, because people type it
FLOW_ID = "local-flow"

# What `deliver` needs to write XDM; the stand-in takes any values.
XDM_SETTINGS: Mapping[str, str] = {
    "AEP_FLOW_ID": FLOW_ID,
    "AEP_FORMAT": "xdm",
    "AEP_SCHEMA_ID": "https://ns.adobe.com/acme/schemas/0123456789abcdef",
    "AEP_DATASET_ID": "5da9452f7de80400007c52a1",
    "AEP_IMS_ORG_ID": "ACME@AdobeOrg",
    "AEP_TENANT_ID": "acme",
}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The parts, running."""

    receive: Function
    deliver: Function


class PubSubAdmin:
    """Sets up topics and subscriptions by Google's clients, on any server that speaks Pub/Sub."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Takes an open channel to the server."""
        self.publisher = PublisherAsyncClient(
            transport=PublisherGrpcAsyncIOTransport(channel=channel)
        )
        self.subscriber = SubscriberAsyncClient(
            transport=SubscriberGrpcAsyncIOTransport(channel=channel)
        )

    async def create_topics(self, project: str = PROJECT_ID) -> None:
        """The two topics, events and dead letters."""
        for topic in (EVENTS, DEAD):
            await self.publisher.create_topic(name=f"projects/{project}/topics/{topic}")

    async def create_push_subscription(self, endpoint: str, project: str = PROJECT_ID) -> None:
        """The push subscription of `deliver`, with shorter pauses than in a deployment."""
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
        """A pull subscription on a topic; answers its path."""
        path = f"projects/{project}/subscriptions/{name}"
        await self.subscriber.create_subscription(
            Subscription(
                name=path,
                topic=f"projects/{project}/topics/{topic}",
                ack_deadline_seconds=ack_deadline_seconds,
            )
        )
        return path


@asynccontextmanager
async def administer(host: str) -> AsyncIterator[PubSubAdmin]:
    """The admin of the Pub/Sub server at `host`."""
    async with grpc.aio.insecure_channel(host) as channel:
        yield PubSubAdmin(channel)


@asynccontextmanager
async def run_pipeline(
    host: str,
    aep: AepServer,
    *,
    project: str = PROJECT_ID,
    receive_settings: Mapping[str, str] | None = None,
    deliver_settings: Mapping[str, str] | None = None,
    on_line: Callable[[str, Line], None] | None = None,
) -> AsyncIterator[Pipeline]:
    """Both functions between the Pub/Sub server at `host` and AEP, with topics and subscriptions.

    Args:
        host: of a Pub/Sub server that has nothing of `project` yet.
        aep: the stand-in, running.
        project: keeps pipelines on one server apart.
        receive_settings: settings of `receive` beyond what it needs.
        deliver_settings: the same of `deliver`.
        on_line: is called with each log line of the functions.

    Raises:
        FunctionFailed: a function did not start.
    """
    receive = Function("receive", receive_env(host, project, receive_settings), on_line=on_line)
    env = deliver_env(host, aep, project, deliver_settings)
    deliver = Function("deliver", env, on_line=on_line)
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(administer(host))
        await admin.create_topics(project)
        await admin.create_pull_subscription(DEAD_KEPT, DEAD, project)
        await _start_both(stack, receive, deliver)
        await admin.create_push_subscription(deliver.url, project)
        yield Pipeline(receive, deliver)


def receive_env(
    host: str, project: str = PROJECT_ID, settings: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What `receive` must be told to be part of the pipeline."""
    return {
        "GOOGLE_CLOUD_PROJECT": project,
        "PUBSUB_EMULATOR_HOST": host,
        "PENDO_WEBHOOK_SECRETS": SECRET,
        **(settings or {}),
    }


def deliver_env(
    host: str, aep: AepServer, project: str = PROJECT_ID, settings: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What `deliver` must be told to be part of the pipeline."""
    return {
        "GOOGLE_CLOUD_PROJECT": project,
        "PUBSUB_EMULATOR_HOST": host,
        "AEP_ENDPOINT": aep.endpoint,
        "AEP_FLOW_ID": FLOW_ID,
        **(settings or {}),
    }


async def _start_both(stack: AsyncExitStack, *functions: Function) -> None:
    """Together, for starting is most of the wait."""
    async with asyncio.TaskGroup() as group:
        for function in functions:
            group.create_task(stack.enter_async_context(function))

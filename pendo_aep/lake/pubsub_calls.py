"""The calls of Pub/Sub's API that only commands make: topics, temporary subscriptions, snapshots.

The functions need three calls and load nothing else, so these are not in `pendo_aep.pubsub`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any, Final

import grpc.aio
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message_factory import GetMessageClass

from pendo_aep.connection import Connection
from pendo_aep.pubsub.client import TRANSIENT, PubSubCall, PubSubConnection, PullRequest

_CALL_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Method:
    """One method: its service, its messages, and the field that names the resource."""

    service: str
    request: str
    response: str
    route: str


_METHODS: Final = {
    "GetTopic": _Method("Publisher", "GetTopicRequest", "Topic", "topic"),
    "ListTopicSubscriptions": _Method(
        "Publisher", "ListTopicSubscriptionsRequest", "ListTopicSubscriptionsResponse", "topic"
    ),
    "GetSubscription": _Method(
        "Subscriber", "GetSubscriptionRequest", "Subscription", "subscription"
    ),
    "CreateSubscription": _Method("Subscriber", "Subscription", "Subscription", "name"),
    "DeleteSubscription": _Method("Subscriber", "DeleteSubscriptionRequest", "", "subscription"),
    "ListSubscriptions": _Method(
        "Subscriber", "ListSubscriptionsRequest", "ListSubscriptionsResponse", "project"
    ),
    "Pull": _Method("Subscriber", "PullRequest", "PullResponse", "subscription"),
    "Acknowledge": _Method("Subscriber", "AcknowledgeRequest", "", "subscription"),
    "CreateSnapshot": _Method("Subscriber", "CreateSnapshotRequest", "Snapshot", "name"),
    "DeleteSnapshot": _Method("Subscriber", "DeleteSnapshotRequest", "", "snapshot"),
    "ListSnapshots": _Method(
        "Subscriber", "ListSnapshotsRequest", "ListSnapshotsResponse", "project"
    ),
    "Seek": _Method("Subscriber", "SeekRequest", "SeekResponse", "subscription"),
}


class PubSubCalls:
    """Makes calls on one open channel; the caller owns the channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Takes an open channel to Pub/Sub."""
        # Never cut short: a pull that is cut off may have leased messages.
        self._connection: PubSubConnection = Connection(
            "Pub/Sub", lambda: channel, lambda channel: channel.close(), silent_seconds=inf
        )
        self._calls: dict[tuple[str, str], PubSubCall] = {}

    async def __call__(
        self,
        method: str,
        *,
        seconds: float | None = None,
        attempt_seconds: float | None = None,
        **fields: Any,
    ) -> Any:
        """Returns the response of one call, repeated while Pub/Sub is out of reach.

        Args:
            method: its name, such as `GetTopic`.
            seconds: how long the call may take, its repetitions included; 10 by default.
            attempt_seconds: how long one attempt may take; it is not repeated afterwards. All of
                the time by default.
            fields: those of the request.

        Raises:
            CallFailed: Pub/Sub refuses, or did not answer in time.
        """
        known = _METHODS[method]
        resource, seconds = fields[known.route], seconds or _CALL_SECONDS
        call = self._calls.get((method, resource))
        if call is None:
            call = self._calls[method, resource] = self._open(method, known, resource)
        request = _message_class(known.request)(**fields)
        return await call(request, attempt_seconds=attempt_seconds or seconds, seconds=seconds)

    def _open(self, method: str, known: _Method, resource: str) -> PubSubCall:
        return PubSubCall(
            self._connection,
            f"{known.service}/{method}",
            (_message_class(known.request), _message_class(known.response)),
            route=(known.route, resource),
            # Once its time is up, another attempt could only lease and lose messages.
            transient=TRANSIENT - {grpc.StatusCode.DEADLINE_EXCEEDED},
        )


def _message_class(name: str) -> Any:
    # `google.pubsub_v1` itself would import Google's clients: see `pendo_aep.pubsub.client`.
    known = PullRequest.DESCRIPTOR.file.message_types_by_name
    return GetMessageClass(known[name]) if name else Empty

"""A small Pub/Sub client: the channel, one gRPC call with retries, and the protobuf messages.

Google's generated clients do the same. They take 120 ms to import, and a call through their layers
costs a fifth more.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import quote

import grpc.aio

from pendo_aep.connection import Connection
from pendo_aep.logs import log

if TYPE_CHECKING:
    from google.auth.credentials import Credentials


# As in Google's own client: the global endpoint, its scopes and its keepalive interval.
_HOST: Final = "pubsub.googleapis.com"
_SCOPES: Final = (
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/pubsub",
)
_KEEPALIVE: Final = ("grpc.keepalive_time_ms", 30_000)
_CHANNEL_OPTIONS: Final = (
    # A Pull response may be larger than gRPC's default of 4 MB; Pub/Sub bounds its size.
    ("grpc.max_receive_message_length", -1),
    # By default a channel that lost its server waits up to two minutes before it reconnects.
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # Despite its name, the time that one attempt to connect may take, TLS included. If it is as
    # short as the pauses, a slow handshake never completes (grpc/grpc#33423).
    ("grpc.min_reconnect_backoff_ms", 5000),
    # By default a second channel to the same server shares the connection of the first.
    ("grpc.use_local_subchannel_pool", 1),
)
# Pub/Sub answers in some 50 ms, and Pendo may give up on a webhook that waits much longer.
_SILENT_SECONDS: Final = 2.0
# gRPC status codes that may be gone a moment later (Google: "Pub/Sub error codes"). The calls of
# the functions are safe to repeat: an event has an id of its own, and acknowledging twice is once.
TRANSIENT: Final = frozenset(
    {
        grpc.StatusCode.ABORTED,  # the server gave up on a conflict of its own
        grpc.StatusCode.CANCELLED,  # the connection was closed during the call
        grpc.StatusCode.DEADLINE_EXCEEDED,  # one attempt took too long
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.RESOURCE_EXHAUSTED,  # over quota for the moment
        grpc.StatusCode.UNAVAILABLE,  # out of reach, or restarting
        grpc.StatusCode.UNKNOWN,
    }
)
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 1.0

OpenChannel: TypeAlias = Callable[[], grpc.aio.Channel]
PubSubConnection: TypeAlias = Connection[grpc.aio.Channel]


class NoCredentials(Exception):
    """The environment has no Google credentials."""


def _google_credentials() -> Credentials:
    # Only a deployment needs credentials, and this takes as long to import as everything else.
    import google.auth
    from google.auth.exceptions import GoogleAuthError

    try:
        credentials, _project = google.auth.default(scopes=_SCOPES)
    except GoogleAuthError as error:
        log("ERROR", "no Google credentials", error=type(error).__name__)
        raise NoCredentials from None
    return credentials


def connect(credentials: Callable[[], Credentials] = _google_credentials) -> grpc.aio.Channel:
    """Opens a channel to Pub/Sub as the function's identity, or to `PUBSUB_EMULATOR_HOST`.

    Call it in the worker's event loop: a channel does not survive a fork (grpc/grpc#41768).

    Raises:
        NoCredentials: there are no credentials.
    """
    if emulator := os.environ.get("PUBSUB_EMULATOR_HOST"):
        return grpc.aio.insecure_channel(emulator, options=_CHANNEL_OPTIONS)

    from google.api_core import grpc_helpers_async  # slow to import, as above

    channel: grpc.aio.Channel = grpc_helpers_async.create_channel(
        _HOST, credentials=credentials(), options=(*_CHANNEL_OPTIONS, _KEEPALIVE)
    )
    return channel


def pubsub_connection(open_channel: OpenChannel | None = None) -> PubSubConnection:
    """Returns the connection to Pub/Sub for all calls of a process. Nothing is opened yet.

    Takes what opens a channel: by default `connect`, which looks up the credentials only once. That
    may take seconds, and a call that waits for a new channel does not have them.
    """
    return Connection(
        "Pub/Sub",
        open_channel or partial(connect, cache(_google_credentials)),
        lambda channel: channel.close(),  # `grpc.aio.Channel` itself is abstract
        silent_seconds=_SILENT_SECONDS,
        is_multiplexed=True,
    )


class CallFailed(Exception):
    """Pub/Sub refused the call or did not answer in time; the text is Pub/Sub's or gRPC's."""

    def __init__(self, code: grpc.StatusCode, said: str) -> None:
        """Takes the status code of the last attempt."""
        super().__init__(code, said)
        self.code = code
        self.said = said

    def __str__(self) -> str:
        return f"{self.code.name}: {self.said}"


class PubSubCall:
    """One method of Pub/Sub's API: a gRPC call with a timeout, and retries within it."""

    def __init__(
        self,
        connection: Connection[grpc.aio.Channel],
        method: str,
        messages: tuple[Any, Any],
        *,
        route: tuple[str, str],
        transient: frozenset[grpc.StatusCode] = TRANSIENT,
    ) -> None:
        """Takes the connection and the method.

        Args:
            connection: to Pub/Sub.
            method: such as `Publisher/Publish`.
            messages: the protobuf classes of the request and the response.
            route: the field that names the resource, and its value.
            transient: the status codes after which another attempt may succeed.
        """
        self._connection = connection
        self._method = f"/google.pubsub.v1.{method}"
        self._messages = messages
        # Google: AIP-4222, routing headers.
        self._metadata = (("x-goog-request-params", f"{route[0]}={quote(route[1])}"),)
        self._transient = transient
        self._channel: grpc.aio.Channel | None = None
        self._rpc: Any = None

    async def __call__(self, request: Any, *, attempt_seconds: float, seconds: float) -> Any:
        """Returns the response within `seconds`; one attempt may take `attempt_seconds`.

        Raises:
            CallFailed: there is none; it has the status code of the last attempt.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        ceiling = _FIRST_PAUSE_SECONDS
        attempt = partial(self._attempt, request)
        while True:
            try:
                return await self._connection.call(
                    attempt, until=until, attempt_seconds=attempt_seconds
                )
            except TimeoutError:
                code, said = grpc.StatusCode.DEADLINE_EXCEEDED, "no answer in time"
            except grpc.aio.AioRpcError as error:
                code, said = error.code(), error.details() or ""
            pause = random.uniform(0, ceiling)  # noqa: S311 (no secret)
            if code not in self._transient or loop.time() + pause >= until:
                raise CallFailed(code, said)
            await asyncio.sleep(pause)
            ceiling = min(ceiling * 2, _LONGEST_PAUSE_SECONDS)

    async def _attempt(self, request: Any, channel: grpc.aio.Channel, seconds: float) -> Any:
        if channel is not self._channel:
            request_class, response_class = self._messages
            self._channel = channel
            self._rpc = channel.unary_unary(
                self._method,
                request_serializer=request_class.SerializeToString,
                response_deserializer=response_class.FromString,
            )
        try:
            return await self._rpc(request, metadata=self._metadata, timeout=seconds)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise TimeoutError from None
            raise


@contextmanager
def _without_init(package: str) -> Iterator[None]:
    """Imports modules of a package without running the package's `__init__`.

    That of `google.pubsub_v1` imports the generated clients and all they need (`requests`,
    `cryptography`, every transport), which takes four times as long as the messages, while the
    first webhook waits.
    """
    spec = find_spec(package) if package not in sys.modules else None
    if spec is None:  # it has run already
        yield
        return
    sys.modules[package] = module_from_spec(spec)
    try:
        yield
    finally:
        # A later import of the clients gets the real package, with the same messages.
        del sys.modules[package]


with _without_init("google.pubsub_v1"):
    from google.pubsub_v1.types import pubsub

# The plain protobuf classes: Google's wrappers around them cost more than the call.
Message: Final[Any] = pubsub.PubsubMessage.pb()
PublishRequest: Final[Any] = pubsub.PublishRequest.pb()
PublishResponse: Final[Any] = pubsub.PublishResponse.pb()
PullRequest: Final[Any] = pubsub.PullRequest.pb()
PullResponse: Final[Any] = pubsub.PullResponse.pb()
AcknowledgeRequest: Final[Any] = pubsub.AcknowledgeRequest.pb()
ModifyAckDeadlineRequest: Final[Any] = pubsub.ModifyAckDeadlineRequest.pb()

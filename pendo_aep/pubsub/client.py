"""The channel to Pub/Sub: one for all of a process, opened in its event loop."""

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


# What Google's own client uses: the global endpoint, its scopes, and how often it asks whether a
# connection is still alive.
_HOST: Final = "pubsub.googleapis.com"
_SCOPES: Final = (
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/pubsub",
)
_KEEPALIVE: Final = ("grpc.keepalive_time_ms", 30_000)
_CHANNEL_OPTIONS: Final = (
    # What a Pull brings may be larger than gRPC's 4 MB; the sizes are Pub/Sub's to bound.
    ("grpc.max_receive_message_length", -1),
    # By default a channel that lost its server waits up to two minutes before it tries again.
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # In spite of its name, what one attempt to connect may take, TLS included. As short as the
    # pauses, a slow handshake never ends (grpc/grpc#33423).
    ("grpc.min_reconnect_backoff_ms", 5000),
    # By default a second channel to the same server shares the connection of the first.
    ("grpc.use_local_subchannel_pool", 1),
)
# Pub/Sub answers in some 50 ms; a webhook that waits any longer may be given up by Pendo.
_SILENT_SECONDS: Final = 2.0


class NoCredentials(Exception):
    """The environment has no Google identity."""


OpenChannel: TypeAlias = Callable[[], grpc.aio.Channel]
PubSubConnection: TypeAlias = Connection[grpc.aio.Channel]


def _google_credentials() -> Credentials:
    # Only a deployment has credentials to look for, and this takes as long to import as all else.
    import google.auth
    from google.auth.exceptions import GoogleAuthError

    try:
        credentials, _project = google.auth.default(scopes=_SCOPES)
    except GoogleAuthError as error:
        log("ERROR", "no Google credentials", error=type(error).__name__)
        raise NoCredentials from None
    return credentials


def connect(credentials: Callable[[], Credentials] = _google_credentials) -> grpc.aio.Channel:
    """A channel to Pub/Sub with the function's own identity, or to `PUBSUB_EMULATOR_HOST`.

    Must be called in the worker's event loop: a channel does not survive a fork (grpc/grpc#41768).

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
    """The connection to Pub/Sub, for all that a process calls. Nothing is opened yet.

    Takes what opens a channel; by default `connect`, which then looks up the identity only once:
    that may take seconds, and a call that waits for a fresh channel does not have them.
    """
    return Connection(
        "Pub/Sub",
        open_channel or partial(connect, cache(_google_credentials)),
        lambda channel: channel.close(),  # `grpc.aio.Channel` itself is abstract
        silent_seconds=_SILENT_SECONDS,
        is_multiplexed=True,
    )


# One method of Pub/Sub's API: a gRPC call with bounds on its time, and retries within them.
#
# Google's generated clients do the same; they take 120 ms to import, and a call through their layers
# costs a fifth more.


# gRPC's status codes that may be gone a moment later (Google: "Pub/Sub error codes"). What the
# functions call is safe to repeat: an event's id is its own, and acknowledgements add up to one.
TRANSIENT: Final = frozenset(
    {
        grpc.StatusCode.ABORTED,  # the server gave up on a conflict of its own
        grpc.StatusCode.CANCELLED,  # the connection was taken down under the call
        grpc.StatusCode.DEADLINE_EXCEEDED,  # one attempt took too long
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.RESOURCE_EXHAUSTED,  # over quota for the moment
        grpc.StatusCode.UNAVAILABLE,  # out of reach, or restarting
        grpc.StatusCode.UNKNOWN,
    }
)
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 1.0


class CallFailed(Exception):
    """Pub/Sub refused, or did not answer in time; the text is what it said, or gRPC for it."""

    def __init__(self, code: grpc.StatusCode, said: str) -> None:
        """Takes the status code of the last attempt."""
        super().__init__(code, said)
        self.code = code
        self.said = said

    def __str__(self) -> str:
        return f"{self.code.name}: {self.said}"


class PubSubCall:
    """`await call(request)`: the response, or `CallFailed`."""

    def __init__(
        self,
        connection: Connection[grpc.aio.Channel],
        method: str,
        messages: tuple[Any, Any],
        *,
        route: tuple[str, str],
        transient: frozenset[grpc.StatusCode] = TRANSIENT,
    ) -> None:
        """Takes the connection and what to call on it.

        Args:
            connection: to Pub/Sub.
            method: as `Publisher/Publish`.
            messages: the protobuf classes of the request and the response.
            route: the field that says which resource it is about, and its value.
            transient: the status codes after which another attempt may do better.
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
        """The response, within `seconds`, of which one attempt may take `attempt_seconds`.

        Raises:
            CallFailed: there is none, by the last attempt's status code.
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


# The protobuf messages of the few Pub/Sub methods that the functions call, from Google's package.
#
# Importing `google.pubsub_v1` as it stands imports its clients and all they need (`requests`,
# `cryptography`, every transport), which takes four times as long as the messages do, and a function
# that starts with a webhook in its hands has no use for them.


@contextmanager
def _without_its_clients(package: str) -> Iterator[None]:
    """Lets modules of the package be imported without running the package's own `__init__`."""
    spec = find_spec(package) if package not in sys.modules else None
    if spec is None:  # it has run already, so there is nothing left to save
        yield
        return
    sys.modules[package] = module_from_spec(spec)
    try:
        yield
    finally:
        # Whoever wants the clients later gets the real package, around the same messages.
        del sys.modules[package]


with _without_its_clients("google.pubsub_v1"):
    from google.pubsub_v1.types import pubsub

# The plain protobuf classes: Google's own wrappers around them cost more than the call.
Message: Final[Any] = pubsub.PubsubMessage.pb()
PublishRequest: Final[Any] = pubsub.PublishRequest.pb()
PublishResponse: Final[Any] = pubsub.PublishResponse.pb()
PullRequest: Final[Any] = pubsub.PullRequest.pb()
PullResponse: Final[Any] = pubsub.PullResponse.pb()
AcknowledgeRequest: Final[Any] = pubsub.AcknowledgeRequest.pb()
ModifyAckDeadlineRequest: Final[Any] = pubsub.ModifyAckDeadlineRequest.pb()

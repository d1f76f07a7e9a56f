"""The channel to Pub/Sub: one for all of a process, opened in its event loop."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Final, TypeAlias

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

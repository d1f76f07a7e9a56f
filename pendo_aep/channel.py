"""The channel to Pub/Sub: one for all of a process, opened in its event loop."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, TypeAlias

import grpc.aio

from pendo_aep.logs import log

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
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.initial_reconnect_backoff_ms", 100),
)


class NoCredentials(Exception):
    """The environment has no Google identity."""


Connect: TypeAlias = Callable[[], grpc.aio.Channel]


def connect() -> grpc.aio.Channel:
    """A channel to Pub/Sub with the function's own identity, or to `PUBSUB_EMULATOR_HOST`.

    Must be called in the worker's event loop: a channel does not survive a fork (grpc/grpc#41768).

    Raises:
        NoCredentials: there are no credentials.
    """
    if emulator := os.environ.get("PUBSUB_EMULATOR_HOST"):
        return grpc.aio.insecure_channel(emulator, options=_CHANNEL_OPTIONS)

    # Only a deployment has credentials to look for, and this takes as long to import as all else.
    from google.api_core import grpc_helpers_async
    from google.auth.exceptions import GoogleAuthError

    try:
        channel: grpc.aio.Channel = grpc_helpers_async.create_channel(
            _HOST, default_scopes=_SCOPES, options=(*_CHANNEL_OPTIONS, _KEEPALIVE)
        )
    except GoogleAuthError as error:
        log("ERROR", "no Google credentials", error=type(error).__name__)
        raise NoCredentials from None
    return channel

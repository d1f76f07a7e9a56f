"""The channel to Pub/Sub: one for all of a process, opened in its event loop."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import grpc.aio
from google.auth.exceptions import GoogleAuthError
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport

from pendo_aep.logs import log

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

    def channel(*args: Any, options: Sequence[Any], **kwargs: Any) -> grpc.aio.Channel:
        return PublisherGrpcAsyncIOTransport.create_channel(
            *args, options=[*options, *_CHANNEL_OPTIONS], **kwargs
        )

    try:
        return PublisherGrpcAsyncIOTransport(channel=channel).grpc_channel
    except GoogleAuthError as error:
        log("ERROR", "no Google credentials", error=type(error).__name__)
        raise NoCredentials from None

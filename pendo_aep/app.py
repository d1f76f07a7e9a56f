"""Builds a function from its settings, and holds the one application of a process.

Settings are read at start, so that a wrong one stops the function at once. The handler is built on
the first request, in the worker: gRPC channels and HTTP sessions belong to an event loop and do not
survive the server's fork (grpc/grpc#41768).

Each function imports only what it needs, at start and not on its first request. `deliver` does not
need the Pub/Sub client, which takes longer to load than everything else, until a dead letter.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from uvicorn_worker import UvicornWorker

from pendo_aep import freeze_gc, logs
from pendo_aep.settings import (
    DeliverSettings,
    DrainSettings,
    ReceiveSettings,
    SettingsError,
    load,
)

if TYPE_CHECKING:
    from pendo_aep.aep.retry import BatchSender
    from pendo_aep.group_commit import Limits
    from pendo_aep.pipeline.deliver import Delivery
    from pendo_aep.pubsub import Topic

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
Build: TypeAlias = Callable[[], Handler]

# Only Google's front end connects, and it closes what it no longer needs: its load balancers after
# 600 seconds (Google: "Backend service timeout"; for Cloud Run's own front end: assumed).
_KEEP_ALIVE_SECONDS: Final = 3600
# With `single`, requests at a time for each batch that may be in flight: 4 * 8 = 32 by default. At
# 150 ms each (assumed, as in deploy/config.env) that is 213 requests/s from an instance, and 853
# from the 4 that are deployed at most: below the 1,000 that Adobe allows. Where AEP is faster, it
# answers 429, and retries slow down.
_SINGLES_PER_BATCH: Final = 8


class Application:
    """The one function that a process serves; built lazily."""

    def __init__(self, target: str, environ: Mapping[str, str]) -> None:
        """Reads the settings of the function.

        Args:
            target: the function's name, as `--target` or `FUNCTION_TARGET` gives it.
            environ: the environment variables.

        Raises:
            SystemExit: settings are wrong; a log line has named them all.
        """
        logs.install()
        prepare = _FUNCTIONS.get(target)
        if prepare is None:
            raise SystemExit(f"there is no function {target!r}; choose {', '.join(_FUNCTIONS)}")
        try:
            self._build = prepare(environ)
        except SettingsError as error:
            logs.log("CRITICAL", f"{target} cannot start, its settings are wrong: {error}")
            raise SystemExit(1) from None
        self._handler: Handler | None = None

    def handle(self, request: Request) -> Awaitable[Response]:
        """Returns the function's answer to a request."""
        if self._handler is None:
            logs.install()  # again: the framework has replaced the root handler since the import
            self._handler = self._build()
            freeze_gc()
        return self._handler(request)


def _prepare_receive(environ: Mapping[str, str]) -> Build:
    settings = load(ReceiveSettings, environ)
    from pendo_aep.pipeline.dead_letter_publisher import DeadLetterPublisher
    from pendo_aep.pipeline.receive import Receiver
    from pendo_aep.pubsub.client import pubsub_connection
    from pendo_aep.pubsub.publisher import Publisher

    def build() -> Handler:
        connection = pubsub_connection()
        events = Publisher(settings.topic_path(settings.pubsub_topic), connection)
        dead = Publisher(settings.topic_path(settings.dead_letter_topic), connection)
        return Receiver(settings, events, DeadLetterPublisher(lambda: dead, "receive"))

    return build


def _prepare_deliver(environ: Mapping[str, str]) -> Build:
    settings = load(DeliverSettings, environ)
    from pendo_aep.group_commit import GroupCommit
    from pendo_aep.pipeline.deliver import Deliverer

    build_delivery = _prepare_delivery(settings)

    def build() -> Handler:
        delivery, sender, limits = build_delivery()
        seconds = settings.deliver_deadline_seconds
        batches = GroupCommit(sender.send, limits, timeout_seconds=seconds)
        return Deliverer(delivery, batches, deadline_seconds=seconds)

    return build


def _prepare_drain(environ: Mapping[str, str]) -> Build:
    settings = load(DrainSettings, environ)
    from pendo_aep.pipeline.drain import Drain
    from pendo_aep.pubsub.subscriber import Subscriber

    build_delivery = _prepare_delivery(settings)

    def build() -> Handler:
        subscriber = Subscriber(settings.subscription_path)
        return Drain(subscriber, *build_delivery(), seconds=settings.drain_seconds)

    return build


_FUNCTIONS: Final = {
    "receive": _prepare_receive,
    "deliver": _prepare_deliver,
    "drain": _prepare_drain,
}


def _prepare_delivery(
    settings: DeliverSettings,
) -> Callable[[], tuple[Delivery, BatchSender, Limits]]:
    """Returns what builds the part that `deliver` and `drain` share. Nothing is sent yet."""
    from pendo_aep.aep.auth import token_source
    from pendo_aep.aep.circuit_breaker import CircuitBreaker
    from pendo_aep.aep.client import ENVELOPE_BYTES, StreamingClient
    from pendo_aep.aep.format import event_format
    from pendo_aep.aep.retry import BatchSender
    from pendo_aep.group_commit import Limits
    from pendo_aep.http import http_connection, open_session
    from pendo_aep.pipeline.dead_letter_publisher import DeadLetterPublisher
    from pendo_aep.pipeline.deliver import Delivery

    words = None
    if settings.pendo_catalog_file:
        from pendo_aep.pipeline.poll_catalog import PollCatalog

        words = PollCatalog(Path(settings.pendo_catalog_file))

    def open_dead_letters() -> Topic:
        from pendo_aep.pubsub.publisher import Publisher

        return Publisher(settings.topic_path(settings.dead_letter_topic))

    def build() -> tuple[Delivery, BatchSender, Limits]:
        limits = Limits(
            max_items=settings.batch_max_messages,
            max_bytes=settings.batch_max_bytes - ENVELOPE_BYTES,
            max_in_flight=settings.batch_max_in_flight,
            linger_seconds=settings.batch_linger_ms / 1000,
        )
        delivery = Delivery(
            event_format(settings),
            DeadLetterPublisher(open_dead_letters, "deliver"),
            trims=settings.aep_trim_properties,
            words=words,
        )
        singles = settings.batch_max_in_flight * _SINGLES_PER_BATCH if settings.is_single else 0
        connections = singles or settings.batch_max_in_flight
        connection = http_connection("AEP", partial(open_session, connections))
        client = StreamingClient.of(settings, connection, token_source(settings))
        return delivery, BatchSender(client, CircuitBreaker(), singles_at_once=singles), limits

    return build


def prepare_server() -> None:
    """Disables the worker timeout and keeps idle connections; call it before the server starts.

    Cloud Run takes the CPU away between requests, for hours at times (Google: "Cloud Run, CPU
    allocation"; GoogleCloudPlatform/python-docs-samples#3229 shows what that does to heartbeats).
    Two timers of the framework's server do not survive this, and neither has a setting.

    The framework takes gunicorn's worker timeout from `CLOUD_RUN_TIMEOUT_SECONDS`
    (functions-framework-python#309). After a freeze that was longer, gunicorn finds the worker's
    heartbeat too old, and kills it with the webhook that ended the freeze. Without the timeout a
    worker that hangs is ended by Cloud Run: docs/operations.md, "A worker hangs".

    gunicorn closes a connection that was idle for 2 seconds. After a freeze it does so just as the
    front end sends the next webhook over it, which then has no answer.
    """
    os.environ["CLOUD_RUN_TIMEOUT_SECONDS"] = "0"
    UvicornWorker.CONFIG_KWARGS = {
        **UvicornWorker.CONFIG_KWARGS,
        "timeout_keep_alive": _KEEP_ALIVE_SECONDS,
    }

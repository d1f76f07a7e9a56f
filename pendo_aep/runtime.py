"""What one process has: the settings of its function, and the handler that is made of them.

Settings are read at start, so that a wrong one stops the function at once. The handler is made
with the first request, in the worker: gRPC channels and HTTP sessions belong to an event loop, and
do not survive the server's fork (grpc/grpc#41768).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from pendo_aep import collector, logs
from pendo_aep.dead_letter_topic import DeadLetterTopic
from pendo_aep.settings import (
    DeliverSettings,
    DrainSettings,
    ReceiveSettings,
    SettingsError,
    load,
)

# Each function imports only what it needs, at start and not with its first request; `deliver` has
# no use for the Pub/Sub client, which takes longer to load than all the rest, until a dead letter.

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


class Runtime:
    """The one lazily made thing of a process."""

    def __init__(self, target: str, environ: Mapping[str, str]) -> None:
        """Reads the settings of the function that this process serves.

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
            self._make = prepare(environ)
        except SettingsError as error:
            logs.log("CRITICAL", f"{target} cannot start, its settings are wrong: {error}")
            raise SystemExit(1) from None
        self._handler: Handler | None = None

    def handle(self, request: Request) -> Awaitable[Response]:
        """The function's answer to a request."""
        if self._handler is None:
            logs.install()  # again: the framework has replaced the root handler since the import
            self._handler = self._make()
            collector.spare_what_is_there()
        return self._handler(request)


def _prepare_receive(environ: Mapping[str, str]) -> Callable[[], Handler]:
    settings = load(ReceiveSettings, environ)
    from pendo_aep.channel import pubsub_connection
    from pendo_aep.publisher import Publisher
    from pendo_aep.receive import Receiver

    def make() -> Handler:
        connection = pubsub_connection()
        events = Publisher(settings.topic_path(settings.pubsub_topic), connection)
        dead = Publisher(settings.topic_path(settings.dead_letter_topic), connection)
        return Receiver(settings, events, DeadLetterTopic(lambda: dead, "receive"))

    return make


def _prepare_deliver(environ: Mapping[str, str]) -> Callable[[], Handler]:
    settings = load(DeliverSettings, environ)
    from pendo_aep.deliver import Deliverer
    from pendo_aep.delivery import PushDelivery
    from pendo_aep.group_commit import GroupCommit
    from pendo_aep.way_to_aep import WayToAep

    def make() -> Handler:
        way = WayToAep.of(settings)
        seconds = settings.deliver_deadline_seconds
        batches = GroupCommit(way.sender.send, way.limits, patience_seconds=seconds)
        return Deliverer(PushDelivery(way.delivery, batches, deadline_seconds=seconds))

    return make


def _prepare_drain(environ: Mapping[str, str]) -> Callable[[], Handler]:
    settings = load(DrainSettings, environ)
    from pendo_aep.drain import Drain
    from pendo_aep.puller import Puller
    from pendo_aep.way_to_aep import WayToAep

    def make() -> Handler:
        way = WayToAep.of(settings)
        puller = Puller(settings.subscription_path)
        return Drain(puller, way.delivery, way.sender, way.limits, seconds=settings.drain_seconds)

    return make


_FUNCTIONS = {
    "receive": _prepare_receive,
    "deliver": _prepare_deliver,
    "drain": _prepare_drain,
}

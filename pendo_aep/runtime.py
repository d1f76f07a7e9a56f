"""What one process has: the settings of its function, and the handler that is made of them.

Settings are read at start, so that a wrong one stops the function at once. The handler is made
with the first request, in the worker: gRPC channels and HTTP sessions belong to an event loop, and
do not survive the server's fork (grpc/grpc#41768).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from pendo_aep import logs
from pendo_aep.dead_letter_topic import DeadLetterTopic
from pendo_aep.settings import DeliverSettings, ReceiveSettings, SettingsError, load
from pendo_aep.topic import Topic

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
        prepare = {"receive": _prepare_receive, "deliver": _prepare_deliver}.get(target)
        if prepare is None:
            raise SystemExit(f"there is no function {target!r}; --target is receive or deliver")
        try:
            self._make = prepare(environ)
        except SettingsError as error:
            logs.log("CRITICAL", f"{target} cannot start, its settings are wrong: {error}")
            raise SystemExit(1) from None
        self._handler: Handler | None = None

    async def handle(self, request: Request) -> Response:
        """The function's answer to a request."""
        if self._handler is None:
            self._handler = self._make()
        return await self._handler(request)


def _prepare_receive(environ: Mapping[str, str]) -> Callable[[], Handler]:
    settings = load(ReceiveSettings, environ)
    from pendo_aep.publisher import Publisher, connect
    from pendo_aep.receive import Receiver

    def make() -> Handler:
        one_channel = cache(connect)
        events = Publisher(settings.topic_path(settings.pubsub_topic), one_channel)
        dead = Publisher(settings.topic_path(settings.dead_letter_topic), one_channel)
        return Receiver(settings, events, DeadLetterTopic(lambda: dead, "receive"))

    return make


def _prepare_deliver(environ: Mapping[str, str]) -> Callable[[], Handler]:
    settings = load(DeliverSettings, environ)
    import aiohttp

    from pendo_aep.deliver import Deliverer
    from pendo_aep.delivery import Delivery
    from pendo_aep.group_commit import GroupCommit, Limits
    from pendo_aep.ims import Credentials, TokenSource
    from pendo_aep.inlet import ENVELOPE_BYTES, Inlet
    from pendo_aep.xdm import Raw, Xdm

    def open_dead_letters() -> Topic:
        from pendo_aep.publisher import Publisher

        return Publisher(settings.topic_path(settings.dead_letter_topic))

    def make() -> Handler:
        session = aiohttp.ClientSession(
            # One more than there are batches: a token may be fetched meanwhile.
            connector=aiohttp.TCPConnector(limit=settings.batch_max_in_flight + 1),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        tokens = None
        if settings.aep_client_id:
            tokens = TokenSource(
                session,
                Credentials(
                    settings.aep_ims_url,
                    settings.aep_client_id,
                    settings.aep_client_secret,
                    settings.aep_scopes,
                ),
            )
        inlet = Inlet(
            session,
            endpoint=settings.aep_endpoint,
            flow_id=settings.aep_flow_id,
            sandbox=settings.aep_sandbox,
            tokens=tokens,
            timeout_seconds=settings.deliver_deadline_seconds,
        )
        limits = Limits(
            max_items=settings.batch_max_messages,
            max_bytes=settings.batch_max_bytes - ENVELOPE_BYTES,
            max_in_flight=settings.batch_max_in_flight,
            linger_seconds=settings.batch_linger_ms / 1000,
        )
        xdm = Xdm(
            schema_id=settings.aep_schema_id,
            dataset_id=settings.aep_dataset_id,
            ims_org_id=settings.aep_ims_org_id,
            tenant_id=settings.aep_tenant_id,
            identity_namespace=settings.aep_identity_namespace,
            flow_id=settings.aep_flow_id,
        )
        delivery = Delivery(
            GroupCommit(inlet.send, limits),
            xdm if settings.aep_format == "xdm" else Raw(),
            DeadLetterTopic(open_dead_letters, "deliver"),
            deadline_seconds=settings.deliver_deadline_seconds,
        )
        return Deliverer(delivery)

    return make

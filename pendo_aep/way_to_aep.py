"""The parts between a message and AEP, put together as the settings want them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final, Self

from pendo_aep.brake import Brake
from pendo_aep.dead_letter_topic import DeadLetterTopic
from pendo_aep.delivery import Delivery
from pendo_aep.group_commit import Limits
from pendo_aep.http_connection import HttpConnection, http_connection, open_session
from pendo_aep.ims import Credentials, TokenSource
from pendo_aep.inlet import ENVELOPE_BYTES, Inlet
from pendo_aep.sender import Sender
from pendo_aep.settings import DeliverSettings
from pendo_aep.topic import Topic
from pendo_aep.xdm import EnvelopedRaw, Format, Raw, Xdm

# With `single`, requests at a time for each batch that may be in flight: 4 * 8 = 32 by default. At
# 150 ms each (assumed, as in deploy/config.env) that is 213 requests/s from an instance, and 853
# from the 4 that are deployed at most: below the 1,000 that Adobe allows. Where AEP is faster, it
# answers 429, and retries slow down.
_SINGLES_PER_BATCH: Final = 8


@dataclass(frozen=True, slots=True)
class WayToAep:
    """What `deliver` and `drain` need to carry messages to AEP; made in the event loop."""

    delivery: Delivery
    sender: Sender
    limits: Limits

    @classmethod
    def of(cls, settings: DeliverSettings) -> Self:
        """The parts as the settings want them. Nothing is sent yet."""

        def open_dead_letters() -> Topic:
            # Takes longer to load than all the rest, and most instances never see a dead letter.
            from pendo_aep.publisher import Publisher

            return Publisher(settings.topic_path(settings.dead_letter_topic))

        limits = Limits(
            max_items=settings.batch_max_messages,
            max_bytes=settings.batch_max_bytes - ENVELOPE_BYTES,
            max_in_flight=settings.batch_max_in_flight,
            linger_seconds=settings.batch_linger_ms / 1000,
        )
        delivery = Delivery(
            format_of(settings),
            DeadLetterTopic(open_dead_letters, "deliver"),
            trims=settings.aep_trim_properties,
        )
        singles = settings.batch_max_in_flight * _SINGLES_PER_BATCH if settings.is_single else 0
        connections = singles or settings.batch_max_in_flight
        connection = http_connection("AEP", partial(open_session, connections))
        inlet = inlet_of(settings, connection, _tokens(settings))
        return cls(delivery, Sender(inlet, Brake(), singles_at_once=singles), limits)


def _tokens(settings: DeliverSettings) -> TokenSource | None:
    if not settings.aep_client_id:
        return None
    credentials = Credentials(
        settings.aep_ims_url,
        settings.aep_client_id,
        settings.aep_client_secret,
        settings.aep_scopes,
    )
    return TokenSource(http_connection("IMS", partial(open_session, 1)), credentials)


def inlet_of(
    settings: DeliverSettings, connection: HttpConnection, tokens: TokenSource | None
) -> Inlet:
    """The inlet as the settings want it; without `tokens` it is an open one."""
    return Inlet(
        connection,
        endpoint=settings.aep_endpoint,
        flow_id=settings.aep_flow_id,
        sandbox=settings.aep_sandbox,
        ims_org_id=settings.aep_ims_org_id,
        tokens=tokens,
        is_single=settings.is_single,
    )


def format_of(settings: DeliverSettings) -> Format:
    """How the settings want an event to be written."""
    if settings.aep_format == "raw":
        if settings.aep_raw_mode == "enveloped":
            return EnvelopedRaw(
                flow_id=settings.aep_flow_id,
                ims_org_id=settings.aep_ims_org_id,
                dataset_id=settings.aep_dataset_id,
            )
        return Raw()
    return Xdm(
        schema_id=settings.aep_schema_id,
        dataset_id=settings.aep_dataset_id,
        ims_org_id=settings.aep_ims_org_id,
        tenant_id=settings.aep_tenant_id,
        identity_namespace=settings.aep_identity_namespace,
        flow_id=settings.aep_flow_id,
    )

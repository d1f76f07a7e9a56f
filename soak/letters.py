"""The dead letters, taken as they come and noted in the ledger."""

from __future__ import annotations

import grpc.aio
from google.api_core.exceptions import GoogleAPICallError

from local.pipeline import PubSubAdmin
from soak.ledger import Ledger
from soak.webhooks import is_letter_intact

_POLL_SECONDS = 30.0


async def collect(admin: PubSubAdmin, subscription: str, ledger: Ledger) -> None:
    """Takes dead letters until it is cancelled."""
    while True:
        try:
            answer = await admin.subscriber.pull(
                subscription=subscription, max_messages=1000, timeout=_POLL_SECONDS
            )
        except (GoogleAPICallError, grpc.aio.AioRpcError):  # nothing came: Google's emulator waits
            continue
        received = answer.received_messages
        for letter in received:
            attributes = letter.message.attributes
            event_id = attributes.get("eventId", "a dead letter without an id")
            ledger.buried(
                event_id,
                attributes.get("reason", "none of ours"),
                is_intact=is_letter_intact(event_id, letter.message.data),
            )
        if received:
            ack_ids = [letter.ack_id for letter in received]
            await admin.subscriber.acknowledge(subscription=subscription, ack_ids=ack_ids)

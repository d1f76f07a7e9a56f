"""The dead letters, taken as they come and noted in the ledger."""

from __future__ import annotations

import grpc.aio
from google.api_core.exceptions import GoogleAPICallError

from local.pipeline import PubSubAdmin
from tests.soak.fingerprints import in_letter
from tests.soak.ledger import Ledger

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
            ledger.buried(
                attributes.get("eventId", "a dead letter without an id"),
                in_letter(letter.message.data),
                attributes.get("reason", "none of ours"),
            )
        if received:
            ack_ids = [letter.ack_id for letter in received]
            await admin.subscriber.acknowledge(subscription=subscription, ack_ids=ack_ids)

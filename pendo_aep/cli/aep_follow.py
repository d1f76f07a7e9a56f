"""Follows the test events of `aep apply` into the data lake, and says what is proved by that."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from pendo_aep.cli.terminal import printable, progress
from pendo_aep.lake.advice import advice_for
from pendo_aep.lake.follow import End, Followed, Follower, StoredIds
from pendo_aep.provisioning.client import Client

# Adobe: "Streaming ingestion", the target and the worst case for the data lake.
_NOT_YET: Final = (
    "not in the data lake yet, and not among the failed records: AEP may take an hour, after a "
    "failure of its own three. Look again with `pendo-aep status`"
)


async def follow_test_events(
    client: Client,
    dataset_id: str,
    event_ids: Sequence[str],
    sent_at: datetime,
    limit: timedelta,
    stored_ids: StoredIds | None,
) -> Followed:
    """Returns what became of the events, and shows on a terminal that it waits.

    Args:
        client: calls AEP's APIs.
        dataset_id: where the events should be stored.
        event_ids: of events that AEP has accepted.
        sent_at: before the first was sent.
        limit: how long to follow them.
        stored_ids: asks Query Service; None if it cannot be used.

    Raises:
        PlatformError: AEP does not answer, or does not let the credential look.
    """
    follower = Follower(client, dataset_id, event_ids, sent_at, stored_ids=stored_ids)
    with progress(sys.stderr) as show:
        return await follower.follow(limit, show)


def as_text(followed: Followed) -> str:
    """Returns what became of the test events, and how that is known."""
    match followed.end:
        case End.STORED:
            return "test events: stored, as Query Service shows\n"
        case End.LIKELY:
            batches = ", ".join(map(printable, followed.batches))
            return (
                f"test events: most likely stored: AEP has stored {followed.records:,} records "
                f"since, and none of the test events failed (batch {batches}). Only Query Service "
                "can show which records these are\n"
            )
        case End.UNKNOWN:
            return f"test events: {_NOT_YET}\n"
    lines = [
        f"test event {printable(one.event_id)}: failed in {one.stage}: {printable(one.code)} "
        f"{printable(one.message)}\n    batch {printable(one.batch)}; what usually mends it: "
        f"{advice_for(one.code)}\n"
        for one in followed.failed
    ]
    return "".join(lines)


def as_json(followed: Followed, event_ids: Sequence[str]) -> str:
    """Returns the same as one line of JSON; `stored` has what Query Service shows."""
    shown = {
        "testEvents": list(event_ids),
        "end": followed.end,
        "stored": sorted(followed.stored),
        "failed": [
            {
                "id": one.event_id,
                "stage": one.stage,
                "code": one.code,
                "message": one.message,
                "batch": one.batch,
            }
            for one in followed.failed
        ],
        "recordsSince": followed.records,
        "batches": list(followed.batches),
    }
    return json.dumps(shown) + "\n"

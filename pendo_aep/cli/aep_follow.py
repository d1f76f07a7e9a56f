"""Follows the test events of `aep apply` into the data lake, and says what is proved by that."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from pendo_aep import clock
from pendo_aep.cli.terminal import printable, progress
from pendo_aep.lake.advice import advice_for
from pendo_aep.lake.follow import End, Followed, Follower
from pendo_aep.lake.target import read_dataset, table_of
from pendo_aep.provisioning.client import Client
from pendo_aep.provisioning.errors import PlatformError

if TYPE_CHECKING:
    from pendo_aep.lake.query_service import QueryService

# The `timestamp` of the test events is from our clock; whole seconds are asked for.
_MARGIN: Final = timedelta(minutes=1)
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
    *,
    is_encrypted: bool,
) -> tuple[Followed, str]:
    """Returns what became of the events, and why Query Service could not be asked, if so.

    On a terminal it shows that it waits.

    Args:
        client: calls AEP's APIs.
        dataset_id: where the events should be stored.
        event_ids: of events that AEP has accepted.
        sent_at: before the first was sent.
        limit: how long to follow them.
        is_encrypted: whether Query Service must be spoken to with TLS, as Adobe's must.

    Raises:
        PlatformError: AEP does not answer, or does not let the credential look.
    """
    # Only here: the driver takes as long to load as all else, and most runs follow nothing.
    from pendo_aep.lake.query_service import QueryLimits, QueryService

    limits = QueryLimits(attempts=2)
    async with QueryService(client, is_encrypted=is_encrypted, limits=limits) as service:
        lookup = _Lookup(service, client, dataset_id, sent_at)
        follower = Follower(client, dataset_id, event_ids, sent_at, stored_ids=lookup)
        with progress(sys.stderr) as show:
            return await follower.follow(limit, show), lookup.problem


class _Lookup:
    """Asks Query Service which events are stored, as soon as the dataset has a table.

    Attributes:
        problem: why it cannot be asked; empty while it can.
    """

    def __init__(
        self, service: QueryService, client: Client, dataset_id: str, sent_at: datetime
    ) -> None:
        """Takes what is asked, and where and since when the events may lie."""
        self.problem = ""
        self._service = service
        self._client = client
        self._dataset_id = dataset_id
        self._sent_at = sent_at

    async def __call__(self, event_ids: Collection[str]) -> set[str] | None:
        """Returns those that are stored; None if Query Service cannot be asked."""
        from pendo_aep.lake.query_service import NoTable

        table = table_of(await read_dataset(self._client, self._dataset_id))
        until = clock.now() + _MARGIN
        found: set[str] = set()
        try:
            pages = self._service.stored_ids(table, self._sent_at - _MARGIN, until)
            async with aclosing(pages) as stored:
                async for page in stored:
                    found.update(key for key, _ in page if key in event_ids)
        except NoTable:
            return set()
        except PlatformError as error:
            self.problem = str(error)
            return None
        return found


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

"""The sample from which AEP learns what a raw event looks like, where a source is made by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias, cast

import orjson

from pendo_aep.aep.format import Raw
from pendo_aep.event import Event

Json: TypeAlias = dict[str, Any]


def sample(events: Iterable[Event]) -> Json:
    """One event as `raw` sends it, with every field that any of these has.

    No event of Pendo's has all of them: a poll has no rating, an NPS answer no poll.

    Args:
        events: what the fields come from; where several have one, the first.
    """
    merged: Json = {}
    for event in events:
        merged = {**event, **merged}
    message = Raw().encode(orjson.dumps(merged), cast("Event", merged))
    whole: Json = orjson.loads(message)
    return whole

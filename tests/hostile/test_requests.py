"""Requests that no client would send: refused or taken in whole, and nothing in between."""

from __future__ import annotations

import aiohttp
import pytest

from tests.cases import Case
from tests.hostile.mouths import Mouth
from tests.hostile.tables import cases
from tests.hostile.wire import request, statuses, wire
from tests.webhooks import send


@pytest.mark.parametrize("case", cases("requests"))
async def test_a_request_is_taken_whole_or_not_at_all(
    mouth: Mouth, http: aiohttp.ClientSession, case: Case
) -> None:
    """What is answered with success has arrived, what is not has not, and the next is answered."""
    event_id, body, headers = mouth.good()
    allowed = case["answers"] if isinstance(case["answers"], list) else [case["answers"]]
    allowed = [mouth.taken if status == "taken" else status for status in allowed]

    async with wire(mouth.function) as connection:
        await connection.send(request(body, headers + "Connection: close\r\n", case))
        if not allowed:  # more was promised, and does not come
            connection.end()
        answered = await connection.rest()

    final = [status for status in statuses(answered) if status != 100]
    assert final[0] in allowed if allowed else not final, answered[:300]
    assert mouth.has(event_id) is (final[:1] == [mouth.taken])
    assert not mouth.is_dead(event_id)
    _, body, headers = mouth.good()
    named = dict(line.split(": ") for line in headers.strip().split("\r\n"))
    assert (await send(http, mouth.function.url, body, **named)).status == mouth.taken

"""A burst while AEP throttles: what the console counts is what the servers have."""

from __future__ import annotations

import aiohttp

from local.console.records import Status
from local.console.run import Running
from local.pipeline import EVENTS, PROJECT_ID, PUSH
from local.samples import load_samples
from tests.local.console.bench import post
from tests.local.console.test_hands import until

BURST = 1000
TOPIC = f"projects/{PROJECT_ID}/topics/{EVENTS}"
SUBSCRIPTION = f"projects/{PROJECT_ID}/subscriptions/{PUSH}"


async def test_a_throttled_burst_is_counted_to_the_last(
    running: Running, http: aiohttp.ClientSession
) -> None:
    """1,000 events, half of all requests throttled, then some refused: every count agrees."""
    state, aep = running.state, running.aep
    text = next(s for s in load_samples() if s.name == "poll_submitted_several").body.decode()
    await post(http, running.url, "inject", kind="throttle", share=0.5)
    await post(http, running.url, "inject", kind="partial", share=0.01)
    await post(http, running.url, "send", text=text, count=BURST)

    await until(running, lambda: state.counts.accepted + state.counts.letters == BURST, within=300)
    await until(running, lambda: state.counts.delivering == state.counts.waiting == 0)
    await until(running, lambda: state.counts.in_flight == 0)

    counts = state.counts
    assert counts.received == counts.stored == BURST == len(running.pubsub.published(TOPIC))
    assert counts.accepted == len(aep.distinct_ids)
    assert counts.accepted + counts.duplicates == len(aep.accepted)
    assert counts.letters == len({refused.id for refused in aep.refused}) > 0
    assert counts.requests == len(aep.requests)
    assert running.pubsub.stats(SUBSCRIPTION).waiting == 0

    statuses = [record.status for record in state.events]
    assert statuses.count(Status.ACCEPTED) == counts.accepted
    assert statuses.count(Status.DEAD) == counts.letters
    taken = [request for request in aep.requests if request.status == 207]
    assert {batch.number: batch.messages for batch in state.batches if batch.status == 207} == {
        request.number: request.messages for request in taken
    }
    assert any(request.status == 429 for request in aep.requests)
    assert sum(second.received for second in state.series.since(0)) == BURST
    assert sum(second.accepted for second in state.series.since(0)) == len(aep.accepted)

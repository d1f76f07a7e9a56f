"""The faults of the AEP stand-in: what a client sees, and what was really accepted."""

from datetime import UTC, datetime

import aiohttp
import pytest

from local.aep import (
    AepServer,
    Behaviour,
    Fault,
    Shape,
    answering,
    cut_after_accepting,
    cut_before_body,
    cut_mid_answer,
    fewer_responses,
    has_id,
    not_json,
    refusing,
    reordered,
    silent,
    statuses_as_text,
    throttled,
)
from tests.local.aep_client import raw, running


@pytest.mark.parametrize(
    ("fault", "status", "retry_after"),
    [
        (throttled(), 429, None),
        (throttled(retry_after=2), 429, "2"),
        (
            throttled(retry_after=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
            429,
            "Fri, 02 Jan 2026 03:04:05 GMT",
        ),
        (answering(400), 400, None),
        (answering(403), 403, None),
        (answering(413), 413, None),
        (answering(500), 500, None),
        (answering(502), 502, None),
        (answering(503, retry_after=1), 503, "1"),
        (answering(504), 504, None),
    ],
)
async def test_whole_request_fails(fault: Fault, status: int, retry_after: str | None) -> None:
    """The answer has the status and `Retry-After` and no body; nothing is accepted."""
    async with running(AepServer(faults=[fault])) as (aep, client):
        answered = await client.batch(raw("a", "b"))

        assert answered.status == status
        assert answered.headers.get("Retry-After") == retry_after
        assert answered.body == b""
        assert not aep.accepted
        assert (aep.requests[0].status, aep.requests[0].messages) == (status, 2)


@pytest.mark.parametrize(
    ("fault", "taken", "read"),
    [
        (cut_before_body(), [], 0),
        (cut_after_accepting(), ["a", "b"], 2),
        (cut_mid_answer(), ["a", "b"], 2),
        (silent(0.01), [], 2),
    ],
    ids=["before the body", "after accepting", "in the middle of the answer", "after silence"],
)
async def test_cut_connection(fault: Fault, taken: list[str], read: int) -> None:
    """The client gets an error, whether the messages were accepted or not."""
    async with running(AepServer(faults=[fault])) as (aep, client):
        with pytest.raises(aiohttp.ClientError):
            await client.batch(raw("a", "b"))

        await aep.wait_for(lambda: len(aep.requests) == 1)
        assert [accepted.id for accepted in aep.accepted] == taken
        assert (aep.requests[0].status, aep.requests[0].messages) == (None, read)


async def test_silence_after_accepting() -> None:
    """A silent AEP may have accepted the messages; the answer is then late."""
    async with running(AepServer(faults=[silent(0.05, accepting=True)])) as (aep, client):
        answered = await client.batch(raw("a"))

        assert answered.status == 207
        assert aep.distinct_ids == {"a"}
        assert aep.requests[0].ended_at - aep.requests[0].started_at >= 0.05


async def test_refusing_some_messages() -> None:
    """The matching messages fail inside the 207; the others are accepted."""
    faults = [refusing(has_id("b"), status=500), refusing(has_id("b", "c"), status=429)]
    async with running(AepServer(faults=faults)) as (aep, client):
        answered = await client.batch(raw("a", "b", "c"))

        assert [e.get("statusCode") for e in answered.json["responses"]] == [None, 500, 429]
        assert aep.distinct_ids == {"a"}
        assert [(r.id, r.status) for r in aep.refused] == [("b", 500), ("c", 429)]


@pytest.mark.parametrize(
    ("faults", "batches", "statuses"),
    [
        ([answering(500).when(has_id("poison"))], ["a poison", "a", "poison"], [500, 207, 500]),
        ([answering(413).of_at_least(2)], ["a b", "a"], [413, 207]),
        ([throttled().times(2), answering(503).times(1)], ["a"] * 4, [429, 429, 503, 207]),
    ],
    ids=["a poison message", "only large requests", "one after another"],
)
async def test_only_matching_requests_fail(
    faults: list[Fault], batches: list[str], statuses: list[int]
) -> None:
    """By a message, by the number of messages, or so many times; a fault after the one before."""
    async with running(AepServer(faults=faults)) as (aep, client):
        answers = [(await client.batch(raw(*ids.split()))).status for ids in batches]

        assert answers == statuses
        assert aep.distinct_ids == {"a"}


async def test_answer_that_is_not_json() -> None:
    """The messages are accepted, although the 207 is unreadable."""
    async with running(AepServer(faults=[not_json()])) as (aep, client):
        answered = await client.batch(raw("a"))

        assert (answered.status, answered.body) == (207, b"<html>Bad Gateway</html>")
        assert answered.headers["Content-Type"] == "text/html"
        assert aep.distinct_ids == {"a"}


@pytest.mark.parametrize(("missing", "left"), [(1, 2), (3, 0), (9, 0)])
async def test_fewer_responses(missing: int, left: int) -> None:
    """The 207 can have fewer entries than there were messages."""
    async with running(AepServer(faults=[fewer_responses(missing)])) as (aep, client):
        answered = await client.batch(raw("a", "b", "c"))

        assert len(answered.json["responses"]) == left
        assert len(aep.accepted) == 3


async def test_entries_in_another_order_with_statuses_as_text() -> None:
    """Changes of the entries add up, here their order and their type."""
    aep = AepServer(Behaviour(shape=Shape.SINK), faults=[reordered(), statuses_as_text()])
    async with running(aep) as (_, client):
        entries = (await client.batch(raw("a", "", "c"))).json["responses"]

        assert [entry["xactionId"].rsplit("-", 1)[1] for entry in entries] == ["2", "1", "0"]
        assert [entry.get("status") for entry in entries] == [None, "400", None]

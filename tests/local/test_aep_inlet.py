"""The inlet and the token endpoint without faults: what they accept and answer."""

import copy
import gzip
import re
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from local.aep import (
    AepServer,
    Behaviour,
    MessageFormat,
    RateLimit,
    RawMode,
    Shape,
    token_endpoint_down,
)
from local.aep.inlet import MAX_REQUEST_BYTES
from local.aep.messages import utc_now
from tests.local.aep_client import FLOW, AepClient, raw, running

CASES = orjson.loads(Path(__file__).with_name("aep_cases.json").read_bytes())
MESSAGES, REQUESTS, SHAPES = CASES["messages"], CASES["requests"], CASES["shapes"]
NEEDS_TOKEN = Behaviour(needs_token=True)


def parent_of(message: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    """Returns the object with a dotted path's last key, and that key."""
    *parents, key = path.split(".")
    for name in parents:
        message = message[name]
    return message, key


def message_of(case: dict[str, Any]) -> dict[str, Any]:
    """Returns the case's base message with its change."""
    message: dict[str, Any] = copy.deepcopy(MESSAGES[case["base"]])
    for path, value in case.get("set", {}).items():
        parent, key = parent_of(message, path)
        parent[key] = value
    if "remove" in case:
        parent, key = parent_of(message, case["remove"])
        del parent[key]
    return message


def masked(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Replaces what differs from run to run in the transaction IDs."""
    uuid = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(?=-\d+$)")
    colons = re.compile(r"^\d{13}:\d+:\d+(?=:\d+$)")
    return [
        entry | {"xactionId": colons.sub("MS:N:N", uuid.sub("UUID", entry["xactionId"]))}
        if "xactionId" in entry
        else entry
        for entry in entries
    ]


@pytest.mark.parametrize("case", MESSAGES["cases"], ids=lambda case: case["name"])
async def test_message_is_judged_by_itself(case: dict[str, Any]) -> None:
    """A message that AEP would refuse gets a 400 entry with its reason in the 207."""
    behaviour = Behaviour(
        format=MessageFormat(case.get("format", "auto")),
        raw_modes=frozenset(map(RawMode, case.get("raw_modes", RawMode))),
    )
    async with running(AepServer(behaviour)) as (aep, client):
        answered = await client.batch([message_of(case)])

        assert answered.status == 207
        if case["reason"] is None:
            assert "statusCode" not in answered.json["responses"][0]
            assert len(aep.accepted) == 1
            assert not aep.refused
        else:
            expected = [{"statusCode": 400, "message": case["reason"]}]
            assert answered.json["responses"] == expected
            assert not aep.accepted
            assert [refused.reason for refused in aep.refused] == [case["reason"]]


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case["name"])
async def test_request_is_judged_as_a_whole(case: dict[str, Any]) -> None:
    """A malformed request is refused as a whole, and nothing of it is accepted."""
    async with running() as (aep, client):
        headers = FLOW if case["flow"] else {}
        answered = await client.post(case["path"], case["body"].encode(), headers)

        assert answered.status == case["status"]
        assert len(aep.accepted) == (answered.status < 300)
        assert not aep.refused


@pytest.mark.parametrize("case", SHAPES, ids=lambda case: f"{case['shape']} {case['ids']}")
async def test_shape_of_the_207(case: dict[str, Any]) -> None:
    """A batch is answered with 207 and entries of the configured shape."""
    async with running(AepServer(Behaviour(shape=Shape(case["shape"])))) as (aep, client):
        before = time.time_ns() // 1_000_000
        answered = await client.batch(raw(*case["ids"]))

        assert answered.status == 207
        assert masked(answered.json["responses"]) == case["responses"]
        assert answered.json["inletId"] == aep.inlet
        assert before <= answered.json["receivedTimeMs"] <= time.time_ns() // 1_000_000


@pytest.mark.parametrize(("ahead", "is_taken"), [(60.0, True), (-60.0, False)])
async def test_the_clock_is_aeps(ahead: float, is_taken: bool) -> None:
    """Whether an event is in the future depends on AEP's clock, not on ours."""
    now = utc_now().isoformat()
    message = message_of({"base": "xdm", "set": {"body.xdmEntity.timestamp": now}})
    async with running(AepServer(Behaviour(clock_seconds=ahead))) as (aep, client):
        await client.batch([message])

        assert len(aep.accepted) == is_taken
        assert [r.reason for r in aep.refused] == ["timestamp: is in the future"] * (not is_taken)


async def test_single_message() -> None:
    """A single message is answered with the documented three fields."""
    async with running() as (aep, client):
        answered = await client.single({"id": "a"})

        assert answered.status == 200
        assert set(answered.json) == {"inletId", "xactionId", "receivedTimeMs"}
        assert aep.distinct_ids == {"a"}
        assert aep.endpoint == f"{aep.url}/collection/{aep.inlet}"


async def test_single_message_refused() -> None:
    """A refused single message is answered with 400 and Adobe's problem body."""
    async with running() as (aep, client):
        answered = await client.single({"id": ""})

        assert answered.status == 400
        assert answered.json["status"] == 400
        assert "minLength" in answered.json["report"]["message"]
        assert len(aep.refused) == 1


@pytest.mark.parametrize("mode", [RawMode.BATCH, RawMode.ENVELOPED])
async def test_single_message_in_an_unsupported_mode(mode: RawMode) -> None:
    """An inlet that accepts raw records only in batches refuses a single one."""
    async with running(AepServer(Behaviour(raw_modes=frozenset({mode})))) as (aep, client):
        answered = await client.single({"id": "a"})

        assert answered.status == 400
        assert "'header' field is mandatory" in answered.json["report"]["message"]
        assert not aep.accepted


async def test_xdm_needs_no_flow_id() -> None:
    """XDM messages name their dataset, so no flow ID is required."""
    async with running() as (aep, client):
        body = orjson.dumps({"messages": [MESSAGES["xdm"]]})
        answered = await client.post("/collection/batch/{inlet}", body)

        assert answered.status == 207
        assert [accepted.id for accepted in aep.accepted] == ["e1"]


async def test_one_raw_message_needs_a_flow_id() -> None:
    """A single raw message among XDM ones requires a flow ID for the batch."""
    async with running() as (aep, client):
        body = orjson.dumps({"messages": [MESSAGES["xdm"], MESSAGES["raw"]]})
        answered = await client.post("/collection/batch/{inlet}", body)

        assert answered.status == 400
        assert not aep.accepted


@pytest.mark.parametrize(("spare", "status"), [(0, 207), (-1, 413)])
async def test_size_limit(spare: int, status: int) -> None:
    """A request of exactly 1 MB is accepted; one byte more is a 413."""
    async with running() as (aep, client):
        empty = orjson.dumps({"messages": [{"id": "a", "x": ""}]})
        filling = "x" * (MAX_REQUEST_BYTES - len(empty) - spare)
        answered = await client.batch([{"id": "a", "x": filling}])

        assert answered.status == status
        assert len(aep.accepted) == (status == 207)
        assert aep.requests[0].size == MAX_REQUEST_BYTES - spare


async def test_compressed_body_is_refused() -> None:
    """A compressed body is refused, because Adobe does not document it."""
    async with running() as (aep, client):
        body = gzip.compress(orjson.dumps({"messages": raw("a")}))
        headers = FLOW | {"Content-Encoding": "gzip"}
        answered = await client.post("/collection/batch/{inlet}", body, headers)

        assert answered.status == 400
        assert not aep.accepted


@pytest.mark.parametrize(
    "limit", [RateLimit(requests=2, messages=100), RateLimit(requests=100, messages=4)]
)
async def test_rate_limit(limit: RateLimit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over either limit the answer is 429 with `Retry-After` until the next second."""
    now = 1000.0
    monkeypatch.setattr("local.aep.inlet.monotonic", lambda: now)
    async with running(AepServer(Behaviour(rate_limit=limit))) as (aep, client):
        answers = [await client.batch(raw("a", "b")) for _ in range(3)]
        now += 1
        later = await client.batch(raw("a", "b"))

        assert [answered.status for answered in answers] == [207, 207, 429]
        assert answers[2].headers["Retry-After"] == "1"
        assert later.status == 207
        assert len(aep.accepted) == 6


async def bearer(client: AepClient) -> dict[str, str]:
    """Returns the header with a new token."""
    return {"Authorization": f"Bearer {(await client.token()).json['access_token']}"}


async def test_token() -> None:
    """Valid credentials get a bearer token for about a day, which is counted."""
    async with running() as (aep, client):
        answered = await client.token()

        assert answered.status == 200
        assert answered.json["token_type"] == "bearer"
        assert answered.json["expires_in"] == 86_399
        assert answered.json["access_token"]
        assert aep.tokens_issued == 1
        assert aep.token_requests[0].scopes == ("openid", "AdobeID")


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": ""}, 400, "invalid_scope"),
    ],
)
async def test_token_refused(form: dict[str, str], status: int, error: str) -> None:
    """An invalid request gets an error, and no token is issued."""
    async with running() as (aep, client):
        answered = await client.token(**form)

        assert (answered.status, answered.json) == (status, {"error": error})
        assert aep.tokens_issued == 0


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "empty"),
        ({"Authorization": "Basic abc"}, "empty"),
        ({"Authorization": "Bearer "}, "empty"),
        ({"Authorization": "Bearer made-up"}, "invalid or expired"),
    ],
)
async def test_bad_token(headers: dict[str, str], reason: str) -> None:
    """Without a valid token the answer is the documented 401, with its status as text."""
    async with running(AepServer(NEEDS_TOKEN)) as (aep, client):
        answered = await client.batch(raw("a"), headers)

        assert answered.status == 401
        assert answered.json["status"] == "401"
        assert answered.json["title"] == "Authorization"
        assert reason in answered.json["report"]["message"]
        assert not aep.accepted


async def test_revoked_token() -> None:
    """A revoked token is refused at once; a new one is accepted."""
    async with running(AepServer(NEEDS_TOKEN)) as (aep, client):
        old = await bearer(client)
        aep.revoke_tokens()

        assert (await client.batch(raw("a"), old)).status == 401
        assert (await client.batch(raw("a"), await bearer(client))).status == 207


async def test_expired_token() -> None:
    """A token is refused after its lifetime."""
    async with running(AepServer(Behaviour(needs_token=True, token_seconds=0))) as (aep, client):
        answered = await client.batch(raw("a"), await bearer(client))

        assert answered.status == 401
        assert aep.tokens_issued == 1


async def test_token_endpoint_down() -> None:
    """The token endpoint can be down while the inlet works."""
    async with running() as (aep, client):
        aep.faults.add(token_endpoint_down(503).times(1))

        assert (await client.batch(raw("a"))).status == 207
        assert [(await client.token()).status for _ in range(2)] == [503, 200]
        assert [request.status for request in aep.token_requests] == [503, 200]

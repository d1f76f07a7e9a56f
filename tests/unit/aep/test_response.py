"""Answers of AEP and IMS: the outcome of each message, and the token."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendo_aep.aep.auth import read_token
from pendo_aep.aep.response import is_permanent, is_unauthorised, parse_response
from pendo_aep.dead_letters import Reason
from pendo_aep.outcome import DELIVERED, Delivered, Outcome, Rejected, Retry, RetryReason
from tests.cases import JSON_VALUES, Case, cases, randomly

UNKNOWN = Retry(RetryReason.UNKNOWN_OUTCOME)


def name(outcome: Outcome) -> str:
    """Returns the outcome by its name in the tables."""
    if outcome in {UNKNOWN, Retry(RetryReason.AMBIGUOUS_ENTRIES)}:
        return "unknown"
    return {Delivered: "delivered", Retry: "retry", Rejected: "refused"}[type(outcome)]


def answer(responses: object) -> bytes:
    """Returns a 207 body with these responses."""
    return json.dumps({"inletId": "i", "batchId": "b", "responses": responses}).encode()


@pytest.mark.parametrize("case", cases("inlet_answers"))
def test_entries_of_a_207(case: Case) -> None:
    """In every published shape exactly the failed message fails; in any other it is unknown."""
    expected = case["outcomes"].split()
    outcomes = parse_response(207, answer(case["responses"]), case.get("count", len(expected)))
    assert [name(outcome) for outcome in outcomes] == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # Adobe: "Streaming ingestion", the answer to a single message.
        ({"inletId": "i", "xactionId": "1:2:0", "receivedTimeMs": 1}, "delivered"),
        ({"inletId": "i", "xactionId": "1:2:153", "receivedTimeMs": 1}, "delivered"),
        ({"inletId": "i", "xactionId": "1:2:0", "status": 400}, "refused"),
        ({"inletId": "i", "receivedTimeMs": 1}, "unknown"),
        ({"inletId": "i", "xactionId": ""}, "unknown"),
        ({"status": 200}, "unknown"),
        ({"xactionId": "1:2:0", "responses": []}, "unknown"),
    ],
)
def test_a_single_message(body: dict[str, object], expected: str) -> None:
    """A 200 delivers a single message only with its `xactionId`, and never more than one."""
    said = orjson.dumps(body)
    assert [name(outcome) for outcome in parse_response(200, said, 1)] == [expected]
    assert parse_response(200, said, 2) == [UNKNOWN, UNKNOWN]


@pytest.mark.parametrize("case", cases("aep_ids"))
def test_ids_of_delivered_messages(case: Case) -> None:
    """A delivered message has AEP's own ids, of its own entry, as far as AEP gives text."""
    expected = case["ids"]
    outcomes = parse_response(207, orjson.dumps(case["body"]), len(expected))
    assert [
        [outcome.xaction_id, outcome.batch_id] if isinstance(outcome, Delivered) else None
        for outcome in outcomes
    ] == expected


def test_ids_are_bounded() -> None:
    """Whatever AEP gives as an id, a log line holds at most 128 characters of it."""
    said = {"batchId": "b" * 999, "responses": [{"xactionId": "x" * 999}]}
    [outcome] = parse_response(207, orjson.dumps(said), 1)
    assert isinstance(outcome, Delivered)
    assert (outcome.xaction_id, outcome.batch_id) == ("x" * 128, "b" * 128)


def test_delivered_messages_are_equal_whatever_their_ids() -> None:
    """The circuit breaker, the bisection and the guard ask whether a message was delivered."""
    assert Delivered("a:0", "a") == DELIVERED
    assert len({Delivered("a:0", "a"), DELIVERED}) == 1


@pytest.mark.parametrize("case", cases("inlet_statuses"))
def test_the_status_of_a_request(case: Case) -> None:
    """A status of the whole request rejects only a message that was sent alone.

    Only an entry for a message says that it was delivered.
    """
    [alone] = parse_response(case["status"], b"", 1)
    assert name(alone).replace("unknown", "retry") == case["outcome"]
    if isinstance(alone, Rejected):
        assert alone.reason == case["reason"]
    together = parse_response(case["status"], b"", 3)
    assert [type(outcome) for outcome in together] == [Retry] * 3


def test_an_entry_with_an_index_is_not_about_another_message() -> None:
    """An entry whose index names another message says nothing about the one at its position.

    Adobe's documented partial failure lists the message with index 3 first, and the failed after.
    """
    body = answer([{"xactionId": "1565650704337:2124:92:3"}] + [{"statusCode": 400}] * 4)
    outcomes = parse_response(207, body, 5)
    assert outcomes[0] != DELIVERED
    assert not isinstance(outcomes[3], Rejected)


def test_repeated_indexes_are_ignored() -> None:
    """IDs whose last numbers are no indexes of the batch leave the entries at their positions."""
    outcomes = parse_response(
        207, answer([{"xactionId": "a:7"}, {"xactionId": "a:7", "status": 400}]), 2
    )
    assert [name(outcome) for outcome in outcomes] == ["delivered", "refused"]


@pytest.mark.parametrize(
    "body",
    [b"", b"ok", b"<html>", b"null", b"[]", b"7", b'"responses"', b"{}", b"\xff", b"[" * 9999],
)
@pytest.mark.parametrize("status", [200, 207])
def test_an_unreadable_success_is_unknown(status: int, body: bytes) -> None:
    """A success without a readable entry for each message says nothing about any."""
    assert parse_response(status, body, 2) == [UNKNOWN, UNKNOWN]


def test_retry_reasons() -> None:
    """The reason distinguishes credentials, throttling, AEP's own failures and settings."""
    reasons = {}
    for status in (401, 403, 404, 408, 429, 500, 502, 503, 504):
        [outcome] = parse_response(status, b"", 1)
        assert isinstance(outcome, Retry)
        reasons[status] = outcome.reason
    assert reasons[401] == reasons[403] == "credentials"
    assert reasons[429] == "throttled"
    assert {reasons[status] for status in (408, 500, 502, 503, 504)} == {"aep_failing"}
    assert reasons[404] == "configuration"


@pytest.mark.parametrize(
    ("status", "permanent", "unauthorised"),
    [
        (400, True, False),
        (413, True, False),
        (401, False, True),
        (403, False, True),
        (429, False, False),
        (503, False, False),
        (207, False, False),
    ],
)
def test_kinds_of_status(status: int, permanent: bool, unauthorised: bool) -> None:
    """A status that no retry can change is permanent; 401 and 403 concern the token."""
    assert is_permanent(status) is permanent
    assert is_unauthorised(status) is unauthorised


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"message":"wrong field"}', "wrong field"),
        (b'{"title":"Bad","report":{"message":"wrong field"}}', "wrong field"),
        (b'{"type":"t","status":"400","title":"wrong field"}', "wrong field"),
        (b'{"detail":"wrong field","title":"Bad"}', "wrong field"),
    ],
)
def test_a_rejection_quotes_aep(body: bytes, said: str) -> None:
    """A rejection quotes what AEP said, from any of the places where its error bodies have it."""
    [outcome] = parse_response(400, body, 1)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.REJECTED
    assert outcome.detail.startswith("400")
    assert said in outcome.detail


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"message":null}', b'{"report":1}']
)
def test_a_rejection_without_a_detail(body: bytes) -> None:
    """If AEP says nothing, the detail is only the status."""
    assert parse_response(400, body, 1) == [Rejected(Reason.REJECTED, "400")]


def test_an_entry_without_a_detail() -> None:
    """The same for one entry of a 207."""
    body = answer(
        [{"status": 400}, {"status": 400, "message": None}, {"status": 400, "message": ""}]
    )
    assert parse_response(207, body, 3) == [Rejected(Reason.REJECTED, "400")] * 3


ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "xactionId": st.sampled_from(["a:0", "a:1", "u-1", "u-2", "x", ""]) | JSON_VALUES,
        "status": st.sampled_from([200, 400, "400", 429, 503, "x"]) | JSON_VALUES,
        "statusCode": st.sampled_from([200, 400, "400", 413]) | JSON_VALUES,
        "message": JSON_VALUES,
    },
)
BODIES = (
    st.binary(max_size=20)
    | JSON_VALUES.map(orjson.dumps)
    | (st.lists(ENTRIES | JSON_VALUES, max_size=4) | JSON_VALUES).map(
        lambda responses: orjson.dumps({"responses": responses})
    )
)


@randomly
@given(
    status=st.sampled_from([200, 202, 207, 301, 400, 401, 403, 404, 413, 429, 500, 503])
    | st.integers(100, 599),
    body=BODIES,
    count=st.integers(0, 4),
)
def test_any_answer_gives_one_outcome_per_message(status: int, body: bytes, count: int) -> None:
    """Any answer gives one outcome for each message of the batch."""
    outcomes = parse_response(status, body, count)
    assert len(outcomes) == count
    assert all(isinstance(outcome, Delivered | Retry | Rejected) for outcome in outcomes)


@randomly
@given(data=st.data(), failed=st.lists(st.booleans(), min_size=1, max_size=12))
def test_entries_with_indexes_in_any_order(data: st.DataObject, failed: list[bool]) -> None:
    """Entries that all have an index mean the same in every order."""
    entries = [
        {"xactionId": f"u-u-{place}"} | ({"status": 400} if wrong else {})
        for place, wrong in enumerate(failed)
    ]
    shuffled = data.draw(st.permutations(entries))
    outcomes = parse_response(207, answer(shuffled), len(failed))
    assert [isinstance(outcome, Rejected) for outcome in outcomes] == failed


@pytest.mark.parametrize(
    ("message", "detail"),
    [(b'{"of":"many words"}', '400 {"of":"many words"}'), (b"[" * 1000 + b"]" * 1000, "400")],
    ids=["an object", "deeper than it can be written"],
)
def test_a_detail_that_is_no_text(message: bytes, detail: str) -> None:
    """AEP may give the detail as any JSON; the message is rejected all the same."""
    each = b'{"responses":[{"status":400,"message":' + message + b"}]}"
    whole = b'{"title":' + message + b"}"
    for status, body in ((207, each), (400, whole)):
        assert parse_response(status, body, 1) == [Rejected(Reason.REJECTED, detail)]


@pytest.mark.parametrize("said", ["schema " * 500_000, ["schema "] * 100_000])
def test_a_long_detail_is_cut(said: object) -> None:
    """The detail is cut to what a dead letter can hold."""
    [outcome] = parse_response(400, json.dumps({"message": said}).encode(), 1)
    assert isinstance(outcome, Rejected)
    assert len(outcome.detail) <= len("400 ") + 1024


@pytest.mark.parametrize("case", cases("tokens"))
def test_a_token_is_read(case: Case) -> None:
    """A token is returned with its lifetime in seconds."""
    assert read_token(case["body"].encode()) == (case["token"], case["seconds"])


@pytest.mark.parametrize("case", cases("no_tokens"))
def test_an_invalid_token_is_rejected(case: Case) -> None:
    """A token that no header could carry, or without a lifetime, is invalid."""
    with pytest.raises(ValueError, match=r".+"):
        read_token(case["body"].encode())


def test_a_deeply_nested_token_is_rejected() -> None:
    """A deeply nested token is invalid, and does not exhaust the stack."""
    with pytest.raises(ValueError, match="access_token"):
        read_token(b'{"expires_in":1,"access_token":' + b"[" * 1000 + b"]" * 1000 + b"}")

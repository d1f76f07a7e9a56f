"""Parses AEP's response to a batch into the outcome of each message.

Adobe: "Streaming ingestion", batch endpoint. A batch is answered 207 whether all, some or none of
it was accepted, and failures are written in several ways: `statusCode` in the documentation,
`status` in real responses, with and without an `xactionId`. What a response does not say for sure
is unknown, and unknown means retry: an event's `_id` makes that harmless.

The endpoint for single messages answers 200 with what is one entry of a batch's answer
(`{"inletId", "xactionId", "receivedTimeMs"}`), and refuses by the status of the request.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from pendo_aep.aep.misconfiguration import is_configuration_error
from pendo_aep.dead_letters import Reason
from pendo_aep.outcome import DELIVERED, Delivered, Outcome, Rejected, Retry, RetryReason

# Adobe: "Streaming ingestion", status codes. After these no later attempt can succeed.
_PERMANENT: Final = {400: Reason.REJECTED, 413: Reason.TOO_LARGE, 422: Reason.REJECTED}
UNKNOWN_OUTCOME: Final = Retry(RetryReason.UNKNOWN_OUTCOME)
"""AEP answered 2xx and did not name the message."""
# The entries do not match the messages. AEP's own example of a partial failure has one too few; in
# a smaller batch it is clearer which message each is about.
AMBIGUOUS_ENTRIES: Final = Retry(RetryReason.AMBIGUOUS_ENTRIES)
BATCH_REJECTED: Final = Retry(RetryReason.BATCH_REJECTED)
"""The batch was refused as a whole: perhaps because of this message, perhaps of another."""
# Characters. A dead letter keeps no more (Google: Pub/Sub quotas, attributes).
_MAX_DETAIL: Final = 1024
# Characters of an id of AEP's, which has 20 to 40 in all published answers (assumed).
_MAX_ID: Final = 128
_STATUS_KEYS: Final = ("statusCode", "status")
# "1565628583792:1485:153:0" in the documentation, "9341f8eb-494a-4c89-9879-4d06a58d2dc7-0" in
# Adobe's Kafka sink: the last number is the message's position in the batch.
_POSITION: Final = re.compile(r"[-:](\d{1,9})\Z", re.ASCII)


def is_permanent(status: int) -> bool:
    """Returns whether no later attempt can succeed for a message that is sent alone."""
    return status in _PERMANENT


def is_unauthorised(status: int) -> bool:
    """Returns whether the token is missing, wrong or expired; Adobe documents both codes."""
    return status in {401, 403}


def parse_response(status: int, body: bytes, count: int) -> list[Outcome]:
    """Returns the outcome of each of the `count` messages of a batch, in their order."""
    if 200 <= status < 300:
        outcomes = _each(body, count)
        # If AEP accepted one message, the settings are right for all.
        return outcomes if DELIVERED in outcomes else [_unless_setting(one) for one in outcomes]
    outcome = _unless_setting(_outcome(status, _detail(body)))
    return [BATCH_REJECTED if isinstance(outcome, Rejected) and count > 1 else outcome] * count


def _each(body: bytes, count: int) -> list[Outcome]:
    try:
        answer = orjson.loads(body)
        responses = answer.get("responses")
    except (orjson.JSONDecodeError, AttributeError):
        return [UNKNOWN_OUTCOME] * count
    batch_id = _id(answer.get("batchId"))
    if responses is None and count == 1 and answer.get("xactionId"):
        return [_entry(answer, batch_id)]
    if not isinstance(responses, list) or not responses:
        return [UNKNOWN_OUTCOME] * count
    if len(responses) != count:
        # A smaller batch is clearer; a batch of one cannot be made smaller.
        return [AMBIGUOUS_ENTRIES if count > 1 else UNKNOWN_OUTCOME] * count
    outcomes = [_entry(entry, batch_id) for entry in responses]
    # Match entries to messages by the number at the end of `xactionId`, if every message is named
    # exactly once.
    positions = [_position(entry) for entry in responses]
    if sorted(positions) == list(range(count)):
        ordered = dict(zip(positions, outcomes, strict=True))
        return [ordered[position] for position in range(count)]
    return [AMBIGUOUS_ENTRIES] * count if _contradict(positions) else outcomes


def _contradict(positions: list[int]) -> bool:
    """Returns whether entries name messages at other positions than their own.

    Adobe's documented partial failure does: the entry of message 3 comes first in it, followed by
    failures that name no message. Numbers that repeat or are too large are not positions.
    """
    named = [(named_at, at) for at, named_at in enumerate(positions) if named_at >= 0]
    distinct = {named_at for named_at, _ in named if named_at < len(positions)}
    return len(distinct) == len(named) and any(named_at != at for named_at, at in named)


def _entry(entry: Any, batch_id: str) -> Outcome:
    """Returns the outcome of one entry: a failure if its `status` or `statusCode` is not 2xx."""
    if not isinstance(entry, dict):
        return UNKNOWN_OUTCOME
    try:
        statuses = [int(entry[key]) for key in _STATUS_KEYS if entry.get(key) is not None]
    except (ValueError, TypeError, OverflowError):
        return UNKNOWN_OUTCOME
    xaction_id = entry.get("xactionId")
    if not statuses and not xaction_id:
        return UNKNOWN_OUTCOME
    for status in statuses:
        if not 200 <= status < 300:
            return _outcome(status, _text(entry.get("message")))
    return Delivered(_id(xaction_id), batch_id)


def _id(value: object) -> str:
    """Returns an id of AEP's, cut to length; empty if it is no text."""
    return value[:_MAX_ID] if isinstance(value, str) else ""


def _position(entry: Any) -> int:
    """Returns the message's position in the batch, by the entry's `xactionId`; -1 if unknown."""
    xaction_id = entry.get("xactionId") if isinstance(entry, dict) else None
    match = _POSITION.search(xaction_id) if isinstance(xaction_id, str) else None
    return int(match[1]) if match else -1


def _outcome(status: int, detail: str) -> Rejected | Retry:
    """Returns the outcome by a status that is not 2xx."""
    if reason := _PERMANENT.get(status):
        return Rejected(reason, f"{status} {detail}".strip())
    return Retry(_retry_reason(status), detail)


def _unless_setting(outcome: Outcome) -> Outcome:
    """Returns the outcome; a retry if AEP refuses the message but the text is about a setting."""
    if isinstance(outcome, Rejected) and is_configuration_error(outcome.detail):
        return Retry(RetryReason.CONFIGURATION, outcome.detail)
    return outcome


def _retry_reason(status: int) -> RetryReason:
    if is_unauthorised(status):
        return RetryReason.CREDENTIALS
    if status == 429:
        return RetryReason.THROTTLED
    if status == 408 or status >= 500:
        return RetryReason.AEP_FAILING
    return RetryReason.CONFIGURATION  # 404: no such inlet; 3xx: not the address that AEP shows


def _detail(body: bytes) -> str:
    """Returns the text in an error body, from where AEP's errors have it."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(answer, dict):
        return ""
    report = answer.get("report")
    said = (report.get("message") if isinstance(report, dict) else None) or next(
        (answer[key] for key in ("message", "detail", "title") if answer.get(key)), ""
    )
    return _text(said)


def _text(said: object) -> str:
    """Returns a JSON value as text, cut to length; empty if it is nested too deep."""
    if not said:
        return ""
    if isinstance(said, str):
        return said[:_MAX_DETAIL]
    try:
        return orjson.dumps(said)[:_MAX_DETAIL].decode("utf-8", "ignore")
    except orjson.JSONEncodeError:
        return ""

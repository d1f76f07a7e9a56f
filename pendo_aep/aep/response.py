"""What AEP's answer to a batch says of each message in it.

Adobe: "Streaming ingestion", batch endpoint. A batch is answered 207 whether all, some or none of
it was taken, and failures are spelled in several ways: `statusCode` in the documentation, `status`
in real answers, with and without an `xactionId`. What an answer does not say for sure is unknown,
and unknown is tried again: an event's `_id` makes that harmless.

The endpoint for single messages answers 200 with what is one entry of a batch's answer
(`{"inletId", "xactionId", "receivedTimeMs"}`), and refuses by the status of the request.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from pendo_aep.aep.misconfiguration import is_configuration_error
from pendo_aep.dead_letters import Reason
from pendo_aep.outcome import DELIVERED, Outcome, Rejected, Retry, RetryReason

# Adobe: "Streaming ingestion", status codes. Of these no later try can do better.
_PERMANENT: Final = {400: Reason.REJECTED, 413: Reason.TOO_LARGE, 422: Reason.REJECTED}
UNKNOWN_OUTCOME: Final = Retry(RetryReason.UNKNOWN_OUTCOME)
"""AEP answered 2xx and did not name the message."""
# The entries do not fit the messages. AEP's own example of a partial failure has one too few; in a
# smaller batch it is clearer who is meant.
AMBIGUOUS_ENTRIES: Final = Retry(RetryReason.AMBIGUOUS_ENTRIES)
BATCH_REJECTED: Final = Retry(RetryReason.BATCH_REJECTED)
"""The batch was refused as a whole: perhaps because of this message, perhaps of another."""
# Characters. A dead letter keeps no more of it (Google: Pub/Sub quotas, attributes).
_MAX_DETAIL: Final = 1024
_STATUS_KEYS: Final = ("statusCode", "status")
# "1565628583792:1485:153:0" in the documentation, "9341f8eb-494a-4c89-9879-4d06a58d2dc7-0" in
# Adobe's Kafka sink: the last number is the message's place in the batch.
_PLACE: Final = re.compile(r"[-:](\d{1,9})\Z", re.ASCII)


def is_permanent(status: int) -> bool:
    """Will no later try do better, with a message that is sent alone?"""
    return status in _PERMANENT


def is_unauthorised(status: int) -> bool:
    """Is the token missing, wrong or expired? Adobe's documentation names both codes."""
    return status in {401, 403}


def parse_response(status: int, body: bytes, count: int) -> list[Outcome]:
    """The outcome of each of the `count` messages of a batch, in their order."""
    if 200 <= status < 300:
        outcomes = _each(body, count)
        # Beside a message that AEP accepted, the settings of all are right.
        return outcomes if DELIVERED in outcomes else [_unless_setting(one) for one in outcomes]
    outcome = _unless_setting(_outcome(status, _detail(body)))
    return [BATCH_REJECTED if isinstance(outcome, Rejected) and count > 1 else outcome] * count


def _each(body: bytes, count: int) -> list[Outcome]:
    try:
        answer = orjson.loads(body)
        responses = answer.get("responses")
    except (orjson.JSONDecodeError, AttributeError):
        return [UNKNOWN_OUTCOME] * count
    if responses is None and count == 1 and answer.get("xactionId"):
        return [_entry(answer)]
    if not isinstance(responses, list) or not responses:
        return [UNKNOWN_OUTCOME] * count
    if len(responses) != count:
        # A smaller batch is clearer, but there is none smaller than one message.
        return [AMBIGUOUS_ENTRIES if count > 1 else UNKNOWN_OUTCOME] * count
    outcomes = [_entry(response) for response in responses]
    places = [_place(response) for response in responses]
    if sorted(places) == list(range(count)):
        ordered = dict(zip(places, outcomes, strict=True))
        return [ordered[place] for place in range(count)]
    return [AMBIGUOUS_ENTRIES] * count if _contradict(places) else outcomes


def _contradict(places: list[int]) -> bool:
    """Do some entries say that they are about other messages than those at their own places?

    Adobe's documented partial failure does: the entry of message 3 comes first in it, followed by
    failures that name no message. Numbers that repeat, or are too large, are no places at all.
    """
    named = [(place, position) for position, place in enumerate(places) if place >= 0]
    distinct = {place for place, _ in named if place < len(places)}
    return len(distinct) == len(named) and any(place != position for place, position in named)


def _entry(response: Any) -> Outcome:
    """An entry is a failure if it has a `status` or `statusCode` that is not 2xx."""
    if not isinstance(response, dict):
        return UNKNOWN_OUTCOME
    try:
        said = [int(response[key]) for key in _STATUS_KEYS if response.get(key) is not None]
    except (ValueError, TypeError, OverflowError):
        return UNKNOWN_OUTCOME
    if not said:
        return DELIVERED if response.get("xactionId") else UNKNOWN_OUTCOME
    failed = [status for status in said if not 200 <= status < 300]
    return _outcome((failed or said)[0], _text(response.get("message")))


def _place(response: Any) -> int:
    """Where in the batch the message stood, by the entry's `xactionId`; -1 when it says nothing."""
    xaction = response.get("xactionId") if isinstance(response, dict) else None
    match = _PLACE.search(xaction) if isinstance(xaction, str) else None
    return int(match[1]) if match else -1


def _outcome(status: int, detail: str) -> Outcome:
    if 200 <= status < 300:
        return DELIVERED
    if reason := _PERMANENT.get(status):
        return Rejected(reason, f"{status} {detail}".strip())
    return Retry(_retry_reason(status), detail)


def _unless_setting(outcome: Outcome) -> Outcome:
    """The outcome; a retry where AEP refuses the message but speaks of a setting."""
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
    """What AEP says of a whole request, from where its error bodies have it."""
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
    """What AEP says, as text; nothing, when it is nested too deep to be written again."""
    if not said:
        return ""
    if isinstance(said, str):
        return said[:_MAX_DETAIL]
    try:
        return orjson.dumps(said)[:_MAX_DETAIL].decode("utf-8", "ignore")
    except orjson.JSONEncodeError:
        return ""

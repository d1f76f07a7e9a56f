"""Traces a sample webhook through the pipeline and compares what AEP got with what is expected."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from local.adobe import RecordLog
from local.aep import AepServer
from local.aep_platform.lake import RecordFailed
from local.functions import Function
from local.pipeline import SECRET, Pipeline
from local.samples import Sample, sign, without_empty_values

_ARRIVAL_SECONDS = 30.0
# The log messages with which `pendo_aep.pipeline.deliver` ends an attempt.
_ENDS_OF_ATTEMPTS = ("message delivered", "message returned", "dead letter stored")


@dataclass(frozen=True, slots=True)
class SampleTrace:
    """The result for one sample.

    Attributes:
        sample: what was sent.
        event_type: the normalised type; empty for a ping.
        answer: the HTTP status and the `status` of the body that `receive` answered with.
        attempts: how often it was delivered.
        outcome: what became of it in AEP, in a word.
        milliseconds: from sending it to its acceptance by AEP; None if it never arrived.
        problem: what differs from the expected result; empty if nothing does.
    """

    sample: Sample
    event_type: str
    answer: str
    attempts: int
    outcome: str
    milliseconds: float | None
    problem: str


async def trace_sample(
    sample: Sample,
    pipeline: Pipeline,
    aep: AepServer,
    *,
    records: RecordLog | None = None,
    url: str | None = None,
    secret: str = SECRET,
) -> SampleTrace:
    """Sends one signed sample and follows it to AEP, and into the data lake.

    Args:
        sample: the sample.
        pipeline: the pipeline it goes through.
        aep: where it must arrive.
        records: what becomes of it there; None if AEP stores nothing.
        url: where to send it, if not to `receive` itself.
        secret: a secret that `receive` accepts.
    """
    started = time.time()
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            url or pipeline.receive.url, data=sample.body, headers=sign(sample.body, secret)
        ) as response,
    ):
        body: dict[str, str] = orjson.loads(await response.read())
        answer = f"{response.status} {body.get('status', body.get('error', ''))}"
    if sample.event is None:
        missing = f"{sample.name}.event.json with the expected event is missing"
        problem = "" if answer == "200 pong" else missing
        return SampleTrace(sample, "", answer, 0, "-", None, problem)
    event_id, event_type = sample.event["id"], sample.event["type"]
    try:
        async with asyncio.timeout(_ARRIVAL_SECONDS):
            await aep.wait_for(lambda: event_id in aep.distinct_ids, _ARRIVAL_SECONDS)
            while not _attempts(pipeline.deliver, event_id):  # its log line follows AEP's answer
                await pipeline.deliver.next_line()
    except TimeoutError:
        attempts = _attempts(pipeline.deliver, event_id)
        return SampleTrace(
            sample, event_type, answer, attempts, "-", None, "it never arrived at AEP"
        )
    accepted = next(message for message in aep.accepted if message.id == event_id)
    outcome, problem = "accepted", _difference(sample, accepted.message)
    if records is not None:
        outcome, failure = await _end(records, event_id)
        problem = problem or failure
    return SampleTrace(
        sample,
        event_type,
        answer,
        _attempts(pipeline.deliver, event_id),
        outcome,
        (accepted.at - started) * 1000,
        problem,
    )


async def _end(records: RecordLog, event_id: str) -> tuple[str, str]:
    """Waits for the end of an accepted event; returns it in a word, and what is wrong with it."""
    try:
        async with asyncio.timeout(_ARRIVAL_SECONDS):
            outcome = await records.outcome_of(event_id)
    except TimeoutError:
        return "accepted", "AEP accepted it, and neither stored it nor said why not"
    if isinstance(outcome, RecordFailed):
        return (
            "failed later",
            f"AEP accepted it, and failed later: {outcome.code} {outcome.message}",
        )
    return "stored", ""


def _attempts(deliver: Function, event_id: str) -> int:
    return sum(
        line.get("eventId") == event_id and line.get("message") in _ENDS_OF_ATTEMPTS
        for line in deliver.lines
    )


def _difference(sample: Sample, message: Any) -> str:
    """Describes how AEP's message differs from the sample's, apart from the time of receipt."""
    is_xdm = "xdmEntity" in message.get("body", {})
    got = message["body"]["xdmEntity"] if is_xdm else message
    expected = sample.xdm if is_xdm else _raw(sample)
    wrong = {path for path, _ in _leaves(got).items() ^ _leaves(expected).items()}
    wrong = {path for path in wrong if not path.endswith(".receivedAt")}
    return f"differs from the expected result: {', '.join(sorted(wrong))}" if wrong else ""


def _raw(sample: Sample) -> dict[str, Any]:
    """Returns the event as `raw` sends it: without empty values, with what only XDM adds."""
    entity, event = sample.xdm or {}, sample.event or {}
    (own,) = (value for key, value in entity.items() if key.startswith("_") and key != "_id")
    survey = entity.get("surveyResponse", {})
    added = {
        "propertiesJson": own["pendo"].get("properties"),
        "surveyQuestions": survey.get("surveyQuestions"),
        "surveyAnswers": survey.get("surveyAnswers"),
    }
    sent: dict[str, Any] = without_empty_values(event)
    return sent | {key: value for key, value in added.items() if value is not None}


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Returns every scalar of a JSON value by its path."""
    if isinstance(value, list):
        value = dict(enumerate(value)) or []
    if not isinstance(value, dict) or not value:
        return {path: orjson.dumps(value)}
    leaves = (_leaves(child, f"{path}.{key}") for key, child in value.items())
    return {path: scalar for found in leaves for path, scalar in found.items()}

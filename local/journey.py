"""The way of one webhook through the pipeline, and whether it ended as it should."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from local.aep import AepServer
from local.functions import Function
from local.pipeline import SECRET, Pipeline
from local.samples import Sample, sign, without_empty_values

_ARRIVAL_SECONDS = 30.0
# The words of `pendo_aep.pipeline.deliver` for the end of one attempt.
_ENDS_OF_ATTEMPTS = ("message delivered", "message returned", "dead letter stored")


@dataclass(frozen=True, slots=True)
class Journey:
    """What became of one sample.

    Attributes:
        sample: what was sent.
        event_type: the normalised type; empty for a ping.
        answer: the status of `receive` and what it said.
        attempts: how often it was delivered.
        outcome: what AEP did with it, in a word.
        milliseconds: from sending it to its acceptance by AEP; None if it never came.
        problem: what is not as expected; empty when all is.
    """

    sample: Sample
    event_type: str
    answer: str
    attempts: int
    outcome: str
    milliseconds: float | None
    problem: str


async def travel(
    sample: Sample,
    pipeline: Pipeline,
    aep: AepServer,
    *,
    url: str | None = None,
    secret: str = SECRET,
) -> Journey:
    """Sends one sample, signed, and follows it to AEP.

    Args:
        sample: what to send.
        pipeline: what to send it through.
        aep: where it must arrive.
        url: where to send it, if that is not `receive` itself.
        secret: that `receive` knows.
    """
    started = time.time()
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            url or pipeline.receive.url, data=sample.body, headers=sign(sample.body, secret)
        ) as response,
    ):
        said: dict[str, str] = orjson.loads(await response.read())
        answer = f"{response.status} {said.get('status', said.get('error', ''))}"
    if sample.event is None:
        expected = f"{sample.name}.event.json says what must become of it, and is not there yet"
        problem = "" if answer == "200 pong" else expected
        return Journey(sample, "", answer, 0, "-", None, problem)
    event_id, event_type = sample.event["id"], sample.event["type"]
    try:
        async with asyncio.timeout(_ARRIVAL_SECONDS):
            await aep.wait_for(lambda: event_id in aep.distinct_ids, _ARRIVAL_SECONDS)
            while not _attempts(pipeline.deliver, event_id):  # it has heard, and is about to say so
                await pipeline.deliver.next_line()
    except TimeoutError:
        attempts = _attempts(pipeline.deliver, event_id)
        return Journey(sample, event_type, answer, attempts, "-", None, "it never came to AEP")
    accepted = next(message for message in aep.accepted if message.id == event_id)
    return Journey(
        sample,
        event_type,
        answer,
        _attempts(pipeline.deliver, event_id),
        "accepted",
        (accepted.at - started) * 1000,
        _difference(sample, accepted.message),
    )


def _attempts(deliver: Function, event_id: str) -> int:
    return sum(
        line.get("eventId") == event_id and line.get("message") in _ENDS_OF_ATTEMPTS
        for line in deliver.lines
    )


def _difference(sample: Sample, message: Any) -> str:
    """What AEP got beside what the sample expects, but for the time of receipt."""
    is_xdm = "xdmEntity" in message.get("body", {})
    got = message["body"]["xdmEntity"] if is_xdm else message
    expected = sample.xdm if is_xdm else _raw(sample)
    wrong = {path for path, _ in _leaves(got).items() ^ _leaves(expected).items()}
    wrong = {path for path in wrong if not path.endswith(".receivedAt")}
    return f"differs from what is expected: {', '.join(sorted(wrong))}" if wrong else ""


def _raw(sample: Sample) -> dict[str, Any]:
    """The event as `raw` sends it: without what is empty, and with what only XDM has."""
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
    """Every scalar of a JSON value, by its path."""
    if isinstance(value, list):
        value = dict(enumerate(value)) or []
    if not isinstance(value, dict) or not value:
        return {path: orjson.dumps(value)}
    leaves = (_leaves(child, f"{path}.{key}") for key, child in value.items())
    return {path: scalar for found in leaves for path, scalar in found.items()}

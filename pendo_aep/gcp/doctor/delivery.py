"""Checks whether events reach AEP: sends a test event and follows it through the logs.

It also looks for dead letters that point to a wrong setting.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import aiohttp
import orjson

from pendo_aep import clock
from pendo_aep.aep.misconfiguration import WITHOUT_HEADER
from pendo_aep.dead_letters import Reason
from pendo_aep.event import EVENT_TYPES, OTHER_TYPES
from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.endpoint import Endpoint, Response, post, signature_header
from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, read_logs_command, unknown, wrong
from pendo_aep.gcp.doctor.observe import (
    Found,
    Observation,
    Observations,
    Observer,
    not_observed,
)
from pendo_aep.gcp.gcloud import field_at, typed_command

VISITOR: Final = "pendo-to-aep-test"
"""The visitor of the test event, which tells it from a real one."""

# `deliver` gives up on 20 events before it takes this for a wrong setting.
_SUSPICIOUS_COUNT: Final = 10
_TEST_TYPE: Final = "test"
_DELIVERED: Final = "message delivered"
_DEAD_LETTERED: Final = "dead letter stored"
_RETURNED: Final = "message returned"
_CONFIGURATION: Final = "configuration"
_FIND_MODE: Final = "pendo-aep aep apply --test-event  # prints the AEP_RAW_MODE to set"


@dataclass(frozen=True, slots=True)
class Polling:
    """How long to look for the event in the logs, and how long to pause in between."""

    seconds: float
    pause: float = 3.0


def check_dead_letters(deployment: Deployment, observations: Observations) -> Finding:
    """Checks the last hour: if AEP refuses many events with the same text, a setting is wrong."""
    observed = observations[commands.rejected_lines()]
    if not isinstance(observed, Found):
        what = "the log lines of dead letters"
        return not_observed(Subject.DEAD_LETTERS, what, observed, deployment.deploy_command)
    said = Counter(str(field_at(line, "jsonPayload", "said") or "") for line in observed.value)
    text, count = said.most_common(1)[0] if said else ("", 0)
    if count >= _SUSPICIOUS_COUNT:
        return wrong(
            Subject.DEAD_LETTERS,
            f"{count} dead letters of the last hour say the same: {text or 'nothing'}. A "
            "setting may be wrong, not the events: correct it, then replay them",
            f"pendo-aep dead-letters replay --reason {Reason.REJECTED} --since 1h",
        )
    return ok(Subject.DEAD_LETTERS, "no dead letters of the last hour point to a wrong setting")


def new_event_id() -> str:
    """Returns an id that no event has yet."""
    return f"test-{uuid4().hex}"


async def send_test_event(
    session: aiohttp.ClientSession, endpoint: Endpoint, event_id: str
) -> Finding:
    """Sends the test event, signed as Pendo would sign it."""
    body = _test_event(event_id, endpoint.kept_types)
    headers = signature_header(body, endpoint.secrets[0]) if endpoint.secrets else {}
    return judge_receipt(await post(session, endpoint.url, body, headers), endpoint)


def judge_receipt(response: Response, endpoint: Endpoint) -> Finding:
    """Returns what `receive` has done with the test event."""
    if response.status == 503:
        text = "receive could not store the test event: Pub/Sub, its topic or the right to it"
        return wrong(Subject.TEST_EVENT, text, endpoint.remediation.logs)
    if (response.status, response.said) == (200, "accepted"):
        return ok(Subject.TEST_EVENT, "receive has stored the test event")
    if response.said == "ignored":
        text = "PENDO_EVENTS of receive excludes the test event: whether others arrive is not known"
        mend = "export PENDO_EVENTS=...  # here, as receive has it"
        return unknown(Subject.TEST_EVENT, text, mend)
    if response.status == 0:
        text = f"receive does not answer the test event: {response.why}"
    else:
        text = f"receive answers the test event with {response.status} {response.said}".rstrip()
    return wrong(Subject.TEST_EVENT, text, endpoint.remediation.logs)


async def trace_test_event(
    deployment: Deployment,
    observer: Observer,
    event_id: str,
    polling: Polling,
    say: Callable[[str], None],
) -> Finding:
    """Looks for the event in the logs until they say what became of it, or the time is up."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while True:
        lines = await observer.observe(commands.log_lines(event_id))
        passed = loop.time() - started
        is_over = passed >= polling.seconds
        header = await observer.observe(commands.header_lines()) if is_over else None
        finding = judge_log(deployment, event_id, lines, header, is_over=is_over)
        if finding is not None:
            return finding
        say(f"looking for the test event in the log, {passed:.0f} of {polling.seconds:.0f} s")
        await asyncio.sleep(polling.pause)


def judge_log(
    deployment: Deployment,
    event_id: str,
    observed: Observation,
    header: Observation | None = None,
    *,
    is_over: bool = True,
) -> Finding | None:
    """Returns what the logs say of an event; None if it may still arrive.

    Args:
        deployment: whose logs they are.
        event_id: the event.
        observed: the lines about the event.
        header: the lines that say that AEP misses a header.
        is_over: whether the time is up.
    """
    if not isinstance(observed, Found):
        return not_observed(Subject.TEST_EVENT, "the log", observed, deployment.deploy_command)
    lines = [entry.get("jsonPayload") or {} for entry in observed.value]
    functions = deployment.delivery_functions
    if _reasons(lines, _DELIVERED):
        return ok(Subject.TEST_EVENT, f"AEP has accepted the test event {event_id}")
    if reasons := _reasons(lines, _DEAD_LETTERED):
        text = f"the test event became a dead letter ({reasons[0]})"
        return wrong(Subject.TEST_EVENT, text, _show_dead_letter_command(deployment, event_id))
    if not is_over:
        return None
    if reasons := _reasons(lines, _RETURNED):
        if reasons[0] == _CONFIGURATION and isinstance(header, Found) and header.value:
            text = f"AEP has not accepted the test event: {WITHOUT_HEADER}"
            mend = f"{_FIND_MODE}; then {deployment.deploy_command}"
            return wrong(Subject.TEST_EVENT, text, mend)
        text = f"AEP has not accepted the test event ({reasons[0]}); it will be retried"
        if reasons[0] in ("credentials", _CONFIGURATION):
            mend = f"pendo-aep aep show  # compare; then {deployment.deploy_command}"
        else:
            mend = read_logs_command(deployment, functions[0])
        return wrong(Subject.TEST_EVENT, text, mend)
    if lines:
        text = f"the test event is stored, but {' and '.join(functions)} did not see it"
        return wrong(Subject.TEST_EVENT, text, read_logs_command(deployment, functions[0]))
    text = "the log has nothing about the test event yet"
    mend = typed_command(commands.log_lines(event_id), deployment.project)
    return unknown(Subject.TEST_EVENT, text, mend)


def _reasons(lines: Iterable[Any], message: str) -> list[str]:
    """Returns the reasons of the lines with a message, newest first; empty if there is none."""
    return [
        str(line.get("reason") or "no reason")
        for line in lines
        if field_at(line, "message") == message
    ]


def _show_dead_letter_command(deployment: Deployment, event_id: str) -> str:
    return (
        f"GOOGLE_CLOUD_PROJECT={deployment.project} "
        f"DEAD_LETTER_TOPIC={deployment.dead_letter_topic} "
        f"pendo-aep dead-letters show {event_id}"
    )


def _test_event(event_id: str, kept_types: Set[str]) -> bytes:
    """Returns the body of a webhook, of a type that `PENDO_EVENTS` keeps."""
    body: dict[str, Any] = {
        "event": _event_name(kept_types),
        "uniqueId": event_id,
        "timestamp": int(clock.now().timestamp()),
        "visitorId": VISITOR,
        "app": {"name": VISITOR},
        "properties": {},
    }
    return orjson.dumps(body)


def _event_name(kept_types: Set[str]) -> str:
    if not kept_types:
        return _TEST_TYPE
    chosen = min(kept_types)
    names = {event_type: name for name, event_type in EVENT_TYPES.items()}
    return names.get(chosen) or chosen.removeprefix(OTHER_TYPES)

"""The whole way: an event goes into `receive`, and the log says what AEP did with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from pendo_aep.aep.misconfiguration import WITHOUT_HEADER
from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.advice import logs
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.door import Door
from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, unknown, wrong
from pendo_aep.gcp.doctor.gcloud import Gcloud
from pendo_aep.gcp.doctor.gcloud_failure import as_typed
from pendo_aep.gcp.doctor.http import Answer, post, signature
from pendo_aep.gcp.doctor.look import Look, Seen, not_seen
from pendo_aep.gcp.doctor.trial_event import trial_event
from pendo_aep.gcp.doctor.values import within

_DELIVERED: Final = "message delivered"
_BURIED: Final = "dead letter stored"
_RETURNED: Final = "message returned"
_CONFIGURATION: Final = "configuration"
_FIND_MODE: Final = "pendo-aep aep apply --test-event  # prints the AEP_RAW_MODE to set"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to look for the event, and how long to pause between looks."""

    seconds: float
    pause: float = 3.0


async def send(session: aiohttp.ClientSession, door: Door, event_id: str) -> Finding:
    """Sends the test event, signed as Pendo would."""
    body = trial_event(event_id, door.kept_types)
    signed = signature(body, door.secrets[0]) if door.secrets else {}
    return stored(await post(session, door.url, body, signed), door)


def stored(answer: Answer, door: Door) -> Finding:
    """What `receive` did with the event."""
    if answer.status == 503:
        text = "receive could not store the test event: Pub/Sub, its topic or the right to it"
        return wrong(Subject.JOURNEY, text, door.advice.logs)
    if (answer.status, answer.said) == (200, "accepted"):
        return ok(Subject.JOURNEY, "receive has stored the test event")
    if answer.said == "ignored":
        text = (
            "PENDO_EVENTS of receive leaves the test event out: nobody knows whether others arrive"
        )
        return unknown(Subject.JOURNEY, text, "export PENDO_EVENTS=...  # here, as receive has it")
    if answer.status == 0:
        text = f"receive does not answer the test event: {answer.why}"
    else:
        text = f"receive answers the test event with {answer.status} {answer.said}".rstrip()
    return wrong(Subject.JOURNEY, text, door.advice.logs)


async def follow(
    deployment: Deployment,
    gcloud: Gcloud,
    event_id: str,
    patience: Patience,
    say: Callable[[str], None],
) -> Finding:
    """Looks for the event in the log until its end is there, or patience is at its own."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while True:
        look = await gcloud.look(commands.log_lines(event_id))
        passed = loop.time() - started
        is_over = passed >= patience.seconds
        header = await gcloud.look(commands.header_lines()) if is_over else None
        finding = judge(deployment, event_id, look, header, is_over=is_over)
        if finding is not None:
            return finding
        say(f"looking for the test event in the log, {passed:.0f} of {patience.seconds:.0f} s")
        await asyncio.sleep(patience.pause)


def judge(
    deployment: Deployment,
    event_id: str,
    look: Look,
    header: Look | None = None,
    *,
    is_over: bool = True,
) -> Finding | None:
    """What the log says of an event; None if its end may still come.

    Args:
        deployment: whose log it is.
        event_id: of the event.
        look: at the lines about the event.
        header: a look at the lines that say that AEP misses a header.
        is_over: whether nothing more can come.
    """
    if not isinstance(look, Seen):
        return not_seen(Subject.JOURNEY, "the log", look, deployment.deploy)
    lines = [entry.get("jsonPayload") or {} for entry in look.value]
    if _reasons(lines, _DELIVERED):
        return ok(Subject.JOURNEY, f"AEP has taken the test event {event_id}")
    if reasons := _reasons(lines, _BURIED):
        text = f"the test event became a dead letter ({reasons[0]})"
        return wrong(Subject.JOURNEY, text, _letter(deployment, event_id))
    if not is_over:
        return None
    if reasons := _reasons(lines, _RETURNED):
        if reasons[0] == _CONFIGURATION and isinstance(header, Seen) and header.value:
            text = f"AEP has not taken the test event: {WITHOUT_HEADER}"
            return wrong(Subject.JOURNEY, text, f"{_FIND_MODE}; then {deployment.deploy}")
        text = f"AEP has not taken the test event ({reasons[0]}); it will be tried again"
        return wrong(Subject.JOURNEY, text, _mend(deployment, reasons[0]))
    if lines:
        text = f"the test event is stored, but {' and '.join(deployment.to_aep)} did not see it"
        return wrong(Subject.JOURNEY, text, logs(deployment, deployment.to_aep[0]))
    text = "the log says nothing of the test event yet"
    again = as_typed(commands.log_lines(event_id), deployment.project)
    return unknown(Subject.JOURNEY, text, again)


def _reasons(lines: Iterable[Any], message: str) -> list[str]:
    """The reasons of the lines with a message, newest first; empty if there is no such line."""
    return [
        str(line.get("reason") or "no reason")
        for line in lines
        if within(line, "message") == message
    ]


def _mend(deployment: Deployment, reason: str) -> str:
    if reason in ("credentials", _CONFIGURATION):
        return f"pendo-aep aep show  # compare; then {deployment.deploy}"
    return logs(deployment, deployment.to_aep[0])


def _letter(deployment: Deployment, event_id: str) -> str:
    return (
        f"GOOGLE_CLOUD_PROJECT={deployment.project} DEAD_LETTER_TOPIC={deployment.dead_letters} "
        f"pendo-aep dead-letters show {event_id}"
    )

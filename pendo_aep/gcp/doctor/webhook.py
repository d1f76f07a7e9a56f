"""`receive` from Pendo's side: pings, which go nowhere, signed and not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from enum import Enum
from typing import Final

import aiohttp
import orjson

from pendo_aep.gcp.doctor.door import Door
from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, wrong
from pendo_aep.gcp.doctor.http import Answer, post, signature
from pendo_aep.pendo.webhook import MAX_UNSIGNED_PING_BYTES

_PING: Final = orjson.dumps({"event": "ping", "app": {"name": "webhook-test"}})
# Without a signature only a small ping is answered; if this one is, anything would be taken.
_LARGE_PING: Final = orjson.dumps({"event": "ping", "padding": "x" * MAX_UNSIGNED_PING_BYTES})
_NOT_PENDOS: Final = "not-the-secret"


class Probe(Enum):
    """What was sent."""

    SIGNED = "a signed ping"
    UNSIGNED = "an unsigned ping"
    FORGED = "a ping with a wrong signature"
    ANONYMOUS = "a webhook without a signature"


async def check_webhook(session: aiohttp.ClientSession, door: Door) -> AsyncIterator[Finding]:
    """Every probe; the first one that tells that nobody is there is the last."""
    answer = await post(session, door.url, _PING, {})
    finding = judge(Probe.UNSIGNED, answer, door)
    yield finding
    if _is_nobody(answer):
        return
    for number, secret in enumerate(door.secrets, 1):
        answer = await post(session, door.url, _PING, signature(_PING, secret))
        which = f" (secret {number} of {len(door.secrets)})" if len(door.secrets) > 1 else ""
        yield judge(Probe.SIGNED, answer, door, which)
    answer = await post(session, door.url, _PING, signature(_PING, _NOT_PENDOS))
    yield judge(Probe.FORGED, answer, door)
    yield judge(Probe.ANONYMOUS, await post(session, door.url, _LARGE_PING, {}), door)


def _is_nobody(answer: Answer) -> bool:
    """Whether it was not `receive` that answered."""
    return answer.status in (0, 403, 404) or answer.status >= 500


def judge(probe: Probe, answer: Answer, door: Door, which: str = "") -> Finding:
    """What an answer says of `receive`."""
    if _is_nobody(answer):
        return _nobody(answer, door)
    is_pong = (answer.status, answer.said) == (200, "pong")
    advice, gets = door.advice, f"{probe.value}{which} gets"
    match probe:
        case Probe.SIGNED | Probe.UNSIGNED if is_pong:
            return ok(Subject.WEBHOOK, f"{gets} pong")
        case Probe.SIGNED if answer.status == 401:
            text = f"{gets} 401: receive has another secret, or the rotation has not reached it"
            return wrong(Subject.WEBHOOK, text, advice.secret)
        case Probe.FORGED if is_pong:
            text = f"{gets} pong: receive does not verify signatures"
            return wrong(Subject.WEBHOOK, text, advice.settings)
        case Probe.FORGED | Probe.ANONYMOUS if answer.status in (401, 413):
            return ok(Subject.WEBHOOK, f"{gets} {answer.status}")
        case Probe.ANONYMOUS if is_pong and door.allows_unsigned:
            return ok(Subject.WEBHOOK, f"{gets} in, as PENDO_ALLOW_UNSIGNED says")
        case Probe.ANONYMOUS if is_pong:
            text = f"{gets} in: anybody can make events (PENDO_ALLOW_UNSIGNED)"
            return wrong(Subject.WEBHOOK, text, advice.settings)
    text = f"{gets} {answer.status}, which receive never answers to it: is it another program?"
    return wrong(Subject.WEBHOOK, text, advice.reach)


def _nobody(answer: Answer, door: Door) -> Finding:
    """Why nothing came back that `receive` would say."""
    advice = door.advice
    if answer.status == 0:
        text = f"{door.url} does not answer: {answer.why}"
        return wrong(Subject.WEBHOOK, text, advice.reach)
    if answer.status == 403:
        return wrong(Subject.WEBHOOK, f"{door.url} is not public (403)", advice.public)
    if answer.status == 404:
        return wrong(Subject.WEBHOOK, f"there is no function at {door.url} (404)", advice.reach)
    return wrong(Subject.WEBHOOK, f"receive fails ({answer.status})", advice.logs)

"""Checks `receive` as Pendo calls it: with pings, signed and unsigned, which are not stored."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

import aiohttp
import orjson

from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.finding import (
    Finding,
    Remediation,
    Subject,
    deployment_remediation,
    ok,
    unknown,
    wrong,
)
from pendo_aep.gcp.doctor.functions import function_urls, receive_settings
from pendo_aep.gcp.doctor.observe import Found, Observations, Observer, not_observed
from pendo_aep.gcp.doctor.secrets import read_secret, webhook_secret
from pendo_aep.gcp.gcloud import field_at
from pendo_aep.pendo.webhook import MAX_UNSIGNED_PING_BYTES

_PING: Final = orjson.dumps({"event": "ping", "app": {"name": "webhook-test"}})
# Without a signature only a small ping is answered; if this one is, anything would be accepted.
_LARGE_PING: Final = orjson.dumps({"event": "ping", "padding": "x" * MAX_UNSIGNED_PING_BYTES})
_OTHER_KEY: Final = "not-the-secret"
# A cold start, and the eight seconds that `receive` gives Pub/Sub.
_TIMEOUT_SECONDS: Final = 30.0
_MAX_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is needed to call `receive` as Pendo would.

    Attributes:
        secrets: those that Pendo may sign with. Never in a `repr`.
        allows_unsigned: whether its settings say so.
        kept_types: what `PENDO_EVENTS` keeps; empty is all.
        remediation: what to do when it does not respond as it should.
    """

    url: str
    secrets: Sequence[str] = field(repr=False)
    allows_unsigned: bool
    kept_types: Set[str]
    remediation: Remediation


@dataclass(frozen=True, slots=True)
class Response:
    """A response of `receive`; status 0 is none, and `why` says why."""

    status: int
    body: Any = None
    why: str = ""

    @property
    def said(self) -> str:
        """The `status` in the body, which is `pong`, `accepted`, and so on."""
        return str(field_at(self.body, "status") or "")


class Probe(Enum):
    """What is sent."""

    SIGNED = "a signed ping"
    UNSIGNED = "an unsigned ping"
    FORGED = "a ping with a wrong signature"
    ANONYMOUS = "a webhook without a signature"


async def find_endpoint(
    deployment: Deployment, observations: Observations, observer: Observer
) -> Endpoint | Finding:
    """Returns the endpoint of a deployment, or why it cannot be called."""
    observed = observations[commands.function(deployment, deployment.receive)]
    described = observed.value if isinstance(observed, Found) else None
    urls, settings = function_urls(described), receive_settings(described)
    if not urls or settings is None:
        text = "the address of receive, or what it accepts, is not known: nothing was sent to it"
        return unknown(Subject.WEBHOOK, text, deployment.deploy_command)
    secret = webhook_secret(deployment, observations)
    if secret is None:
        if not settings.pendo_allow_unsigned:
            text = "the secret of receive is not known, so nothing could be signed"
            return unknown(Subject.WEBHOOK, text, deployment.deploy_command)
        remediation = deployment_remediation(deployment, "")
        return Endpoint(urls[0], [], True, settings.pendo_events, remediation)
    remediation = deployment_remediation(deployment, secret.secret)
    accessed = await observer.observe(commands.secret_value(secret.secret, secret.version))
    if not isinstance(accessed, Found):
        what = f"what secret {secret.secret} holds, to sign with"
        return not_observed(Subject.WEBHOOK, what, accessed, remediation.secret)
    secrets = read_secret(accessed.value)
    if not secrets:
        return wrong(Subject.WEBHOOK, f"secret {secret.secret} holds nothing", remediation.secret)
    allows_unsigned = settings.pendo_allow_unsigned
    return Endpoint(urls[0], secrets, allows_unsigned, settings.pendo_events, remediation)


async def check_webhook(
    session: aiohttp.ClientSession, endpoint: Endpoint
) -> AsyncIterator[Finding]:
    """Sends every probe, or only the first if that one shows that `receive` is not there."""
    response = await post(session, endpoint.url, _PING, {})
    yield judge_probe(Probe.UNSIGNED, response, endpoint)
    if _is_not_receive(response):
        return
    for number, secret in enumerate(endpoint.secrets, 1):
        response = await post(session, endpoint.url, _PING, signature_header(_PING, secret))
        count = len(endpoint.secrets)
        which = f" (secret {number} of {count})" if count > 1 else ""
        yield judge_probe(Probe.SIGNED, response, endpoint, which)
    response = await post(session, endpoint.url, _PING, signature_header(_PING, _OTHER_KEY))
    yield judge_probe(Probe.FORGED, response, endpoint)
    response = await post(session, endpoint.url, _LARGE_PING, {})
    yield judge_probe(Probe.ANONYMOUS, response, endpoint)


def judge_probe(probe: Probe, response: Response, endpoint: Endpoint, which: str = "") -> Finding:
    """Returns what the response to a probe says of `receive`."""
    if _is_not_receive(response):
        return _failure(response, endpoint)
    is_pong = (response.status, response.said) == (200, "pong")
    remediation, gets = endpoint.remediation, f"{probe.value}{which} gets"
    match probe:
        case Probe.SIGNED | Probe.UNSIGNED if is_pong:
            return ok(Subject.WEBHOOK, f"{gets} pong")
        case Probe.SIGNED if response.status == 401:
            text = f"{gets} 401: receive has another secret, or the rotation has not reached it"
            return wrong(Subject.WEBHOOK, text, remediation.secret)
        case Probe.FORGED if is_pong:
            text = f"{gets} pong: receive does not verify signatures"
            return wrong(Subject.WEBHOOK, text, remediation.settings)
        case Probe.FORGED | Probe.ANONYMOUS if response.status in (401, 413):
            return ok(Subject.WEBHOOK, f"{gets} {response.status}")
        case Probe.ANONYMOUS if is_pong and endpoint.allows_unsigned:
            return ok(Subject.WEBHOOK, f"{gets} in, as PENDO_ALLOW_UNSIGNED says")
        case Probe.ANONYMOUS if is_pong:
            text = f"{gets} in: anybody can make events (PENDO_ALLOW_UNSIGNED)"
            return wrong(Subject.WEBHOOK, text, remediation.settings)
    text = f"{gets} {response.status}, which receive never returns: is it another program?"
    return wrong(Subject.WEBHOOK, text, remediation.reach)


def _is_not_receive(response: Response) -> bool:
    return response.status in (0, 403, 404) or response.status >= 500


def _failure(response: Response, endpoint: Endpoint) -> Finding:
    """Returns why the response is not one of `receive`."""
    url, remediation = endpoint.url, endpoint.remediation
    if response.status == 0:
        text = f"{url} does not answer: {response.why}"
        return wrong(Subject.WEBHOOK, text, remediation.reach)
    if response.status == 403:
        return wrong(Subject.WEBHOOK, f"{url} is not public (403)", remediation.public)
    if response.status == 404:
        return wrong(Subject.WEBHOOK, f"there is no function at {url} (404)", remediation.reach)
    return wrong(Subject.WEBHOOK, f"receive fails ({response.status})", remediation.logs)


def signature_header(body: bytes, secret: str) -> dict[str, str]:
    """Returns the header that Pendo signs a body with."""
    return {"X-Pendo-Signature": hmac.digest(secret.encode(), body, "sha256").hex()}


async def post(
    session: aiohttp.ClientSession, url: str, body: bytes, headers: Mapping[str, str]
) -> Response:
    """Posts a body, and returns the response or why there is none."""
    try:
        async with session.post(
            url,
            data=body,
            headers={"Content-Type": "application/json", **headers},
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS),
        ) as response:
            return Response(response.status, _json(await response.content.read(_MAX_BYTES)))
    except TimeoutError:
        return Response(0, why=f"no answer within {_TIMEOUT_SECONDS:.0f} s")
    except (aiohttp.ClientError, OSError) as error:
        return Response(0, why=type(error).__name__)


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None

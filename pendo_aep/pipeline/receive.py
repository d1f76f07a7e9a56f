"""The `receive` function: answers a webhook with 2xx once Pub/Sub has stored it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from pendo_aep import clock
from pendo_aep.dead_letters import InvalidWebhook, Reason
from pendo_aep.event import InvalidEvent, encode, event_type, message_attributes
from pendo_aep.http import (
    BodyMemory,
    BodyMemoryFull,
    BodyTooLarge,
    JsonResponse,
    header_values,
    headers_of,
    read_body,
)
from pendo_aep.logs import log, traceparent
from pendo_aep.pendo.normalise import normalise
from pendo_aep.pendo.signature import SignatureMissing, SignatureWrong, VerifiedBody, verify
from pendo_aep.pendo.webhook import Webhook, is_ping, is_unsigned_ping, parse
from pendo_aep.pipeline.dead_letter_publisher import DeadLetterPublisher
from pendo_aep.pubsub import PublishFailed, PublishRejected, Topic
from pendo_aep.settings import ReceiveSettings

_RETRY_AFTER = (b"retry-after", b"5")  # in seconds

# Memory for bodies whose signature has not been checked: a quarter of RECEIVE_MEMORY, 512 MiB
# (deploy/config.env). The process itself takes 70 MB, and 250 requests (RECEIVE_CONCURRENCY) 16 MB
# for the first 64 KB of each body, which are not counted. The rest is for verified bodies.
_UNVERIFIED_BYTES: Final = 128_000_000


class Receiver:
    """Answers webhooks, by the table of `receive` in docs/specification.md."""

    def __init__(
        self, settings: ReceiveSettings, events: Topic, dead_letters: DeadLetterPublisher
    ) -> None:
        """Takes the settings, the topic of events and the publisher of dead letters."""
        self._settings = settings
        self._events = events
        self._dead_letters = dead_letters
        self._memory = BodyMemory(_UNVERIFIED_BYTES)

    async def __call__(self, request: Request) -> Response:
        """Answers one request."""
        if request.method != "POST":
            return JsonResponse(
                405, {"error": "Pendo sends POST; so must you"}, (b"allow", b"POST")
            )
        trace = traceparent(headers_of(request))
        with self._memory.share() as share:
            try:
                raw = await read_body(request, self._settings.max_body_bytes, share)
            except BodyTooLarge:
                log("WARNING", "webhook rejected", trace=trace, reason="too_large")
                limit = self._settings.max_body_bytes
                return JsonResponse(413, {"error": f"over {limit} bytes (MAX_BODY_BYTES)"})
            except BodyMemoryFull:
                log("WARNING", "webhook rejected", trace=trace, reason="overloaded")
                problem = {"error": "too many large bodies at once, please send it again"}
                return JsonResponse(503, problem, _RETRY_AFTER)
            except ClientDisconnect:
                return JsonResponse(400)  # nobody is there to read it
            try:
                body = await self._verified(raw, header_values(request, b"x-pendo-signature"))
            except SignatureMissing:
                if is_unsigned_ping(raw):
                    return _pong(trace)
                return _unauthorised("signature_missing", trace)
            except SignatureWrong:
                return _unauthorised("signature_wrong", trace)
        return await self._take(body, trace)

    async def _take(self, body: VerifiedBody, trace: str | None) -> Response:
        try:
            webhook = parse(body, self._settings.redact)
            if is_ping(webhook):
                return _pong(trace)
            if not self._is_wanted(webhook):
                log("INFO", "webhook ignored", trace=trace, eventType=event_type(webhook["event"]))
                return JsonResponse(200, {"status": "ignored"})
            return await self._accept(webhook, body, trace)
        except InvalidWebhook as error:
            return await self._quarantine(body, error.reason, error.detail, trace)

    async def _verified(self, raw: bytes, signatures: Sequence[str]) -> VerifiedBody:
        if not signatures and self._settings.pendo_allow_unsigned:
            return VerifiedBody(raw)
        secrets = self._settings.pendo_webhook_secrets
        secrets.poll()
        known = secrets.read()
        try:
            return verify(raw, signatures, known.encode().split())
        except SignatureWrong:
            # The secret may have been rotated since the last read.
            rotated = await secrets.refreshed()
            if rotated == known:
                raise
            return verify(raw, signatures, rotated.encode().split())

    def _is_wanted(self, webhook: Webhook) -> bool:
        wanted = self._settings.pendo_events
        return not wanted or event_type(webhook["event"]) in wanted

    async def _accept(self, webhook: Webhook, body: VerifiedBody, trace: str | None) -> Response:
        event = normalise(webhook, body, clock.now())
        try:
            data = encode(event)
        except InvalidEvent as error:
            raise InvalidWebhook(Reason.NOT_AN_EVENT, str(error)) from None
        try:
            message_id = await self._events.publish(data, message_attributes(event, trace))
        except PublishFailed as error:
            return _unavailable(event["id"], error.reason, trace)
        except PublishRejected as error:
            raise InvalidWebhook(Reason.UNPUBLISHABLE, str(error)) from None
        log(
            "INFO",
            "webhook accepted",
            event_id=event["id"],
            trace=trace,
            eventType=event["type"],
            messageId=message_id,
            bytes=len(body),
        )
        return JsonResponse(200, {"status": "accepted", "id": event["id"]})

    async def _quarantine(
        self, body: VerifiedBody, reason: Reason, detail: str, trace: str | None
    ) -> Response:
        event_id = hashlib.sha256(body).hexdigest()
        attributes = {"eventId": event_id} | ({"traceparent": trace} if trace else {})
        if not await self._dead_letters.publish(body, attributes, reason=reason, detail=detail):
            return _unavailable(event_id, "dead_letter_topic", trace)
        return JsonResponse(202, {"status": "quarantined", "reason": reason})


def _pong(trace: str | None) -> Response:
    log("INFO", "ping answered", trace=trace)
    return JsonResponse(200, {"status": "pong"})


def _unauthorised(reason: str, trace: str | None) -> Response:
    log("WARNING", "webhook rejected", trace=trace, reason=reason)
    return JsonResponse(401, {"error": "the signature in X-Pendo-Signature is missing or wrong"})


def _unavailable(event_id: str, reason: str, trace: str | None) -> Response:
    log("ERROR", "webhook not stored", event_id=event_id, trace=trace, reason=reason)
    body = {"error": "not stored, please send it again", "id": event_id}
    return JsonResponse(503, body, _RETRY_AFTER)

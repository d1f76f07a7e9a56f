"""The pipeline in the shape of Google's quickstarts: one message a call, one request a message."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import threading
from functools import cache

import functions_framework
import requests
from cloudevents.http import CloudEvent
from flask import Request
from google.cloud import pubsub_v1  # type: ignore[import-untyped] # Google ships no types

_ANSWER_SECONDS = 10
# A session is not thread-safe, and the server has several threads.
_local = threading.local()


@cache
def _publisher() -> pubsub_v1.PublisherClient:
    return pubsub_v1.PublisherClient()


@functions_framework.http
def receive(request: Request) -> tuple[dict[str, str], int]:
    """Verifies a webhook, publishes it, and waits until Pub/Sub has stored it."""
    body = request.get_data()
    secret = os.environ["PENDO_WEBHOOK_SECRETS"].encode()
    expected = hmac.new(secret, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, request.headers.get("X-Pendo-Signature", "")):
        return {"error": "wrong signature"}, 401
    event = json.loads(body)
    topic = f"projects/{os.environ['GOOGLE_CLOUD_PROJECT']}/topics/pendo-events"
    future = _publisher().publish(topic, body, eventType=event["event"])
    future.result(timeout=_ANSWER_SECONDS)
    return {"status": "accepted", "id": event["uniqueId"]}, 200


@functions_framework.cloud_event
def deliver(event: CloudEvent) -> None:
    """Posts one message to AEP."""
    data = base64.b64decode(event.data["message"]["data"])
    if not hasattr(_local, "session"):
        _local.session = requests.Session()
    response = _local.session.post(
        os.environ["AEP_ENDPOINT"],
        data=data,
        headers={
            "Content-Type": "application/json",
            "x-adobe-flow-id": os.environ["AEP_FLOW_ID"],
        },
        timeout=_ANSWER_SECONDS,
    )
    response.raise_for_status()

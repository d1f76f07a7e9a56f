"""Our functions cut short after each step, to measure what each step costs in place.

In a loop of its own a step runs from warm caches; in a server a request has evicted much of what
the next one needs. So the cost of a step is the difference between one function and the next.
"""

# ruff: noqa: E402 (as in main.py: the collector is set up before there is anything to collect)

from pendo_aep import tune_gc

tune_gc()

import asyncio
import os
from collections.abc import Sequence

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.servers import AEP_SECONDS
from pendo_aep import clock
from pendo_aep.event import encode, message_attributes
from pendo_aep.group_commit import GroupCommit, Limits
from pendo_aep.http import header_values, read_body
from pendo_aep.pendo.normalise import normalise
from pendo_aep.pendo.signature import VerifiedBody, verify
from pendo_aep.pendo.webhook import Webhook, parse
from pendo_aep.settings import DeliverSettings, ReceiveSettings, load

_ACCEPTED = Response(b'{"status":"accepted","id":"5b1f2a0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a"}')
_NO_CONTENT = Response(status_code=204)

_settings = load(ReceiveSettings, os.environ)
_of_deliver = load(DeliverSettings, os.environ)


async def _read_webhook(request: Request) -> bytes:
    return await read_body(request, _settings.max_body_bytes)


async def _verified(request: Request) -> VerifiedBody:
    raw = await _read_webhook(request)
    secrets = _settings.pendo_webhook_secrets.read().encode().split()
    return verify(raw, header_values(request, b"x-pendo-signature"), secrets)


async def _parsed(request: Request) -> tuple[Webhook, VerifiedBody]:
    body = await _verified(request)
    return parse(body, _settings.redact), body


async def _normalised(request: Request) -> tuple[bytes, dict[str, str]]:
    webhook, body = await _parsed(request)
    event = normalise(webhook, body, clock.now())
    return encode(event), message_attributes(event)


class _Waiting:
    """The group commit, with the time that AEP takes, but nothing sent."""

    def __init__(self) -> None:
        limits = Limits(
            _of_deliver.batch_max_messages,
            _of_deliver.batch_max_bytes,
            _of_deliver.batch_max_in_flight,
            linger_seconds=_of_deliver.batch_linger_ms / 1000,
        )
        self._batches: GroupCommit[bytes, bool] = GroupCommit(self._commit, limits)

    async def _commit(self, batch: Sequence[bytes]) -> list[bool]:
        await asyncio.sleep(AEP_SECONDS)  # in place of the request
        return [True] * len(batch)

    async def submit(self, request: Request) -> None:
        body = await read_body(request, _of_deliver.batch_max_bytes)
        await self._batches.submit(body, len(body))


_waiting = _Waiting()


@functions_framework.aio.http
async def reads(request: Request) -> Response:
    """Reads a webhook."""
    await _read_webhook(request)
    return _ACCEPTED


@functions_framework.aio.http
async def verifies(request: Request) -> Response:
    """Reads a webhook and verifies its signature."""
    await _verified(request)
    return _ACCEPTED


@functions_framework.aio.http
async def parses(request: Request) -> Response:
    """Also parses and validates it."""
    await _parsed(request)
    return _ACCEPTED


@functions_framework.aio.http
async def normalises(request: Request) -> Response:
    """Also makes the message that `receive` would publish."""
    await _normalised(request)
    return _ACCEPTED


@functions_framework.aio.http
async def takes(request: Request) -> Response:
    """Reads a push."""
    await read_body(request, _of_deliver.batch_max_bytes)
    return _NO_CONTENT


@functions_framework.aio.http
async def waits(request: Request) -> Response:
    """Reads a push and waits in a batch for as long as AEP takes, with nothing sent."""
    await _waiting.submit(request)
    return _NO_CONTENT

"""The entry points: what `functions-framework --target` and `gcloud ... --entry-point` name.

A process serves one of them, its target, which the framework has put into the environment by the
time it imports this file.
"""

# ruff: noqa: E402 (the collector is told before there is anything to collect)

from pendo_aep.collector import relax

relax()

import os

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from pendo_aep.runtime import Runtime
from pendo_aep.server import prepare_server

prepare_server()
_runtime = Runtime(os.environ.get("FUNCTION_TARGET", ""), os.environ)


@functions_framework.aio.http
async def receive(request: Request) -> Response:
    """Takes a Pendo webhook: 2xx once Pub/Sub has stored it."""
    return await _runtime.handle(request)


@functions_framework.aio.http
async def deliver(request: Request) -> Response:
    """Takes a Pub/Sub push delivery: 2xx once AEP has accepted its message."""
    return await _runtime.handle(request)


@functions_framework.aio.http
async def drain(request: Request) -> Response:
    """Pulls what waits in DRAIN_SUBSCRIPTION and carries it to AEP, until it is empty."""
    return await _runtime.handle(request)

"""The entry points: what `functions-framework --target` and `gcloud ... --entry-point` name.

A process serves one of them, its target, which the framework has put into the environment by the
time it imports this file.
"""

# ruff: noqa: E402 (the garbage collector is tuned before there is anything to collect)

from pendo_aep import tune_gc

tune_gc()

import os

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from pendo_aep.app import Application, prepare_server

prepare_server()
_application = Application(os.environ.get("FUNCTION_TARGET", ""), os.environ)


@functions_framework.aio.http
async def receive(request: Request) -> Response:
    """Takes a Pendo webhook: 2xx once Pub/Sub has stored it."""
    return await _application.handle(request)


@functions_framework.aio.http
async def deliver(request: Request) -> Response:
    """Takes a Pub/Sub push delivery: 2xx once AEP has accepted its message."""
    return await _application.handle(request)


@functions_framework.aio.http
async def drain(request: Request) -> Response:
    """Pulls the messages of DRAIN_SUBSCRIPTION and sends them to AEP, until none is left."""
    return await _application.handle(request)

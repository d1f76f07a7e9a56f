"""`docs/openapi.json`: it says what the specification says, and `receive` does what it says."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from local.functions import PROJECT, Function
from local.pipeline import DEAD, EVENTS, SECRET
from local.pubsub import PubSubServer
from local.samples import sign
from pendo_aep.dead_letters import Reason
from pendo_aep.pendo.webhook import MAX_EVENT_NAME

PATH = PROJECT / "docs" / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(PATH.read_text("utf-8"))
CHECKS = [
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]
EXAMPLES = 150


def test_it_has_every_row_of_the_specification() -> None:
    """The statuses are those of the specification's table of `receive`, no more and no fewer."""
    specification = (PROJECT / "docs" / "specification.md").read_text("utf-8")
    table = specification.partition("## What `receive` answers")[2].partition("\n## ")[0]
    described = set(re.findall(r"^\|[^|]+\| (\d{3}) \|", table, re.MULTILINE))
    operations = DOCUMENT["paths"]["/"].values()
    assert {status for operation in operations for status in operation["responses"]} == described


def test_its_limits_are_those_of_the_code() -> None:
    """Reasons and lengths are the code's own."""
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["Webhook"]["properties"]["event"]["maxLength"] == MAX_EVENT_NAME
    ours = {Reason.NOT_JSON, Reason.NOT_AN_EVENT, Reason.UNPUBLISHABLE}
    assert set(schemas["Quarantined"]["properties"]["reason"]["enum"]) == ours


@pytest.fixture(scope="module")
async def receive(server: PubSubServer) -> AsyncIterator[Function]:
    """The function with one secret, and its topics."""
    for name in (EVENTS, DEAD):
        server.create_topic(f"projects/local/topics/{name}")
    pubsub = {"PUBSUB_EMULATOR_HOST": server.host, "PENDO_WEBHOOK_SECRETS": SECRET}
    async with Function("receive", pubsub) as function:
        yield function


@pytest.mark.slow
@pytest.mark.parametrize("mode", GenerationMode)
async def test_receive_does_what_it_says(
    receive: Function, server: PubSubServer, mode: GenerationMode
) -> None:
    """Whatever is made of the description, or against it, is answered as it says; and is kept.

    Schemathesis makes the requests; those that are signed are stored or set aside.
    """
    seen = await asyncio.to_thread(ask, receive.url, mode)
    stored = len(server.published(f"projects/local/topics/{EVENTS}"))
    aside = len(server.published(f"projects/local/topics/{DEAD}"))
    assert seen >= {200, 401, 405} if mode is GenerationMode.POSITIVE else seen >= {202, 401}
    assert stored + aside > 0


def ask(url: str, mode: GenerationMode) -> set[int]:
    """Sends what Schemathesis makes, signed and unsigned; answers the statuses that came."""
    seen: set[int] = set()
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    with requests.Session() as session:
        for result in schema.get_all_operations():
            assert isinstance(result, Ok)
            operation = result.ok()
            if mode is GenerationMode.NEGATIVE and operation.method != "post":
                continue  # it has nothing that could be wrong
            strategy = operation.as_strategy(generation_mode=mode)

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                database=None,
            )
            @given(case=strategy, is_signed=st.booleans())
            def check(case: schemathesis.Case[Any], is_signed: bool) -> None:
                request = requests.Request(**case.as_transport_kwargs(base_url=url)).prepare()
                request.headers.pop("X-Pendo-Signature", None)
                body = request.body if isinstance(request.body, bytes) else b""
                if is_signed:
                    request.headers.update(sign(body, SECRET))
                response = session.send(request, timeout=30)
                seen.add(response.status_code)
                case.validate_response(response, checks=CHECKS)

            check()
    return seen

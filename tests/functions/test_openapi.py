"""`docs/openapi.json` matches the specification, and `receive` matches `docs/openapi.json`."""

from __future__ import annotations

import asyncio
import json
import re
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
from local.pipeline import SECRET
from local.pubsub import PubSubServer
from local.samples import sign
from pendo_aep.dead_letters import Reason
from pendo_aep.pendo.webhook import MAX_EVENT_NAME
from tests.delivery_harness import DEAD_TOPIC, TOPIC

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
EXAMPLES = 40


def test_statuses_are_those_of_the_specification() -> None:
    """The statuses are exactly those of the specification's table of `receive`."""
    specification = (PROJECT / "docs" / "specification.md").read_text("utf-8")
    table = specification.partition("## What `receive` answers")[2].partition("\n## ")[0]
    described = set(re.findall(r"^\|[^|]+\| (\d{3}) \|", table, re.MULTILINE))
    operations = DOCUMENT["paths"]["/"].values()
    assert {status for operation in operations for status in operation["responses"]} == described


def test_limits_are_those_of_the_code() -> None:
    """Reasons and lengths are those of the code."""
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["Webhook"]["properties"]["event"]["maxLength"] == MAX_EVENT_NAME
    ours = {Reason.NOT_JSON, Reason.NOT_AN_EVENT, Reason.UNPUBLISHABLE}
    assert set(schemas["Quarantined"]["properties"]["reason"]["enum"]) == ours


@pytest.mark.slow
@pytest.mark.parametrize("mode", GenerationMode)
async def test_receive_matches_its_description(
    receive: Function, server: PubSubServer, mode: GenerationMode
) -> None:
    """What Schemathesis makes from the description, or against it, is answered as it says.

    Those that are signed are published or quarantined.
    """
    seen = await asyncio.to_thread(send_requests, receive.url, mode)
    stored = len(server.published(TOPIC))
    aside = len(server.published(DEAD_TOPIC))
    assert seen >= {200, 401, 405} if mode is GenerationMode.POSITIVE else seen >= {202, 401}
    assert stored + aside > 0


def send_requests(url: str, mode: GenerationMode) -> set[int]:
    """Sends what Schemathesis makes, signed and unsigned, and returns the statuses."""
    seen: set[int] = set()
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    with requests.Session() as session:
        for result in schema.get_all_operations():
            assert isinstance(result, Ok)
            operation = result.ok()
            if mode is GenerationMode.NEGATIVE and operation.method != "post":
                continue  # it has nothing that could be invalid
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

"""What the stand-in refuses: `refusals.json`, each against a complete Pendo source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.cases import rows
from tests.local.aep_platform.client import PATHS, PlatformClient

_CASES = orjson.loads(Path(__file__).with_name("refusals.json").read_bytes())


@pytest.mark.parametrize("case", rows(_CASES))
async def test_refused(pendo: PlatformClient, case: dict[str, Any]) -> None:
    """An invalid call gets its status and a body that says why, and changes nothing."""
    case = pendo.filled(case)
    if (kind := case.get("like")) is not None:
        case |= {
            "method": "POST",
            "path": PATHS[kind],
            "body": pendo.body(kind) | case.get("set", {}),
        }
    body = case["text"].encode() if "text" in case else case.get("body")
    state = pendo.platform.state
    changes = len(state.changing_calls)

    answered = await pendo.call(case["method"], case["path"], body, case.get("headers"))

    assert answered.status == case["status"]
    assert case["says"] in orjson.dumps(answered.body).decode()
    assert answered.body.get("status", answered.status) == answered.status
    assert len(state.changing_calls) == changes
    assert state.calls[-1].status == answered.status


async def test_error_bodies_are_adobes(pendo: PlatformClient) -> None:
    """The registry, the Identity Service and the gateway each have a body of their own."""
    schema = (await pendo.post("schema")).body
    assert set(schema) == {"type", "title", "status", "report", "detail"}
    assert schema["type"] == "http://ns.adobe.com/aep/errors/XDM-1521-400"
    assert schema["title"] == "Title not unique"
    assert schema["report"]["detailed-message"] == schema["detail"]
    assert pendo.ids["schema"] in schema["detail"]

    namespace = (await pendo.post("namespace")).body
    assert set(namespace) == {"timestamp", "type", "status", "title", "description", "report"}
    assert namespace["title"] == "NAMESPACE_CODE_CONFLICT"

    gateway = await pendo.call("GET", PATHS["flow"], headers={"Authorization": None})
    assert gateway.body == {"error_code": "403010", "message": "Oauth token is missing."}

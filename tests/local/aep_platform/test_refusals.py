"""What the stand-in refuses: `refusals.json`, each against a complete Pendo source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.local.aep_platform.world import PATHS, World

_CASES = orjson.loads(Path(__file__).with_name("refusals.json").read_bytes())


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in _CASES])
async def test_refused(pendo: World, case: dict[str, Any]) -> None:
    """A wrong call gets its status and a body that says why, and changes nothing."""
    case = pendo.filled(case)
    if (kind := case.get("like")) is not None:
        case |= {
            "method": "POST",
            "path": PATHS[kind],
            "body": pendo.body(kind) | case.get("set", {}),
        }
    body = case["text"].encode() if "text" in case else case.get("body")
    state = pendo.client.platform.state
    changes = len(state.changing_calls)

    answered = await pendo.client.call(case["method"], case["path"], body, case.get("headers"))

    assert answered.status == case["status"]
    assert case["says"] in orjson.dumps(answered.body).decode()
    assert answered.body.get("status", answered.status) == answered.status
    assert len(state.changing_calls) == changes
    assert state.journal[-1].status == answered.status


async def test_the_registry_says_what_is_wrong_in_adobes_form(pendo: World) -> None:
    """A refusal of the registry has Adobe's keys, and its detail twice."""
    body = (await pendo.post("schema")).body

    assert set(body) == {"type", "title", "status", "report", "detail"}
    assert body["type"] == "http://ns.adobe.com/aep/errors/XDM-1521-400"
    assert body["title"] == "Title not unique"
    assert body["report"]["detailed-message"] == body["detail"]
    assert pendo.ids["schema"] in body["detail"]


async def test_a_namespace_is_refused_in_adobes_form(pendo: World) -> None:
    """A code that is taken is refused with the body that Adobe prints."""
    body = (await pendo.post("namespace")).body

    assert set(body) == {"timestamp", "type", "status", "title", "description", "report"}
    assert body["title"] == "NAMESPACE_CODE_CONFLICT"


async def test_the_gateway_refuses_in_adobes_form(pendo: World) -> None:
    """A refusal of the gateway has an `error_code` and a `message`, and no more."""
    answered = await pendo.client.call("GET", PATHS["flow"], headers={"Authorization": None})

    assert answered.body == {"error_code": "403010", "message": "Oauth token is missing."}

"""Starting a function: wrong settings stop it at once, and say all that is wrong."""

from __future__ import annotations

import orjson
import pytest

from local.functions import Function, FunctionFailed

WRONG = {
    "receive": (
        {"GOOGLE_CLOUD_PROJECT": "", "MAX_BODY_BYTES": "many", "PENDO_EVENTS": "nps"},
        ["GOOGLE_CLOUD_PROJECT", "MAX_BODY_BYTES", "PENDO_EVENTS", "PENDO_WEBHOOK_SECRETS"],
    ),
    "deliver": (
        {"AEP_FORMAT": "xdm", "AEP_CLIENT_SECRET": "canary-secret", "AEP_IMS_URL": "http://a.b"},
        [
            "AEP_CLIENT_ID",
            "AEP_DATASET_ID",
            "AEP_ENDPOINT",
            "AEP_FLOW_ID",
            "AEP_IMS_ORG_ID",
            "AEP_IMS_URL",
            "AEP_SCHEMA_ID",
            "AEP_TENANT_ID",
        ],
    ),
}


@pytest.mark.parametrize("target", WRONG)
async def test_wrong_settings_are_all_named_in_one_message(target: str) -> None:
    """The function ends with one log line that names every wrong setting, and shows no value."""
    settings, names = WRONG[target]
    function = Function(target, settings)

    with pytest.raises(FunctionFailed):
        async with function:
            pass

    (line,) = [orjson.loads(text) for text in function.output]
    assert line["severity"] == "CRITICAL"
    for name in names:
        assert f"{name}: " in line["message"]
    assert line["message"].count(": ") == len(names) + 1
    assert "canary-secret" not in function.text


async def test_an_unknown_target_is_said() -> None:
    """A misspelt target ends the start with the names there are."""
    with pytest.raises(FunctionFailed, match="receive, deliver, drain"):
        async with Function("recieve", {}):
            pass

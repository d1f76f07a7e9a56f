"""Where gcloud checks nothing, the stand-in does, as the APIs would."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from local.google import GoogleServer
from tests.cases import Case

CASES = json.loads(Path(__file__).with_name("refusals.json").read_text("utf-8"))
_ENABLED = ("iam", "logging", "monitoring", "cloudscheduler", "secretmanager", "cloudfunctions")
_BUILDER = ("logging.logWriter", "artifactregistry.writer", "storage.objectViewer")


@pytest.fixture
async def google() -> AsyncIterator[GoogleServer]:
    """A project without Pub/Sub, and with most of the other APIs."""
    async with GoogleServer("127.0.0.1:9") as running:
        running.state.services |= {f"{name}.googleapis.com" for name in _ENABLED}
        yield running


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in CASES])
async def test_what_google_would_refuse_is_refused(
    case: Case, google: GoogleServer, http: aiohttp.ClientSession
) -> None:
    """With the status that the API documents, in Google's shape; and nothing is kept."""
    method, path = case["call"]

    async with http.request(method, f"{google.url}/{path}", json=case.get("body")) as answer:
        status, body = answer.status, await answer.json()

    assert status == case["status"]
    assert body["error"]["code"] == case["status"]
    assert google.changes == []
    assert google.calls[-1].path == path


async def test_calls_fail_when_they_are_told_to(
    google: GoogleServer, http: aiohttp.ClientSession
) -> None:
    """So many that change something go through; then none does, and looks still do."""
    google.fail_after = 1
    accounts = f"{google.url}/iam/v1/projects/acme-demo/serviceAccounts"

    statuses = []
    for name in ("account-1", "account-2"):
        async with http.post(accounts, json={"accountId": name}) as answer:
            statuses.append(answer.status)
    async with http.get(accounts) as answer:
        listed = (await answer.json())["accounts"]

    assert statuses == [200, 403]
    assert [one["email"].partition("@")[0] for one in listed] == ["account-1"]


@pytest.mark.parametrize("missing", ["main.py", "requirements.txt"])
async def test_a_source_that_could_not_run_is_refused(
    missing: str, google: GoogleServer, http: aiohttp.ClientSession
) -> None:
    """What gcloud uploads must have the entry point and what to install; no function is made."""
    account = "any@acme-demo.iam.gserviceaccount.com"
    google.state.accounts[account] = {"email": account}
    google.state.policies["project"] = {
        "bindings": [
            {"role": f"roles/{role}", "members": [f"serviceAccount:{account}"]} for role in _BUILDER
        ]
    }
    functions = f"{google.url}/cloudfunctions/v2/projects/acme-demo/locations/any/functions"

    async with http.post(f"{functions}:generateUploadUrl") as answer:
        place = await answer.json()
    await http.put(place["uploadUrl"], data=_zip({"main.py", "requirements.txt"} - {missing}))
    body = {
        "buildConfig": {
            "runtime": "python312",
            "serviceAccount": f"projects/acme-demo/serviceAccounts/{account}",
            "source": {"storageSource": place["storageSource"]},
        },
        "serviceConfig": {"serviceAccountEmail": account},
    }
    async with http.post(f"{functions}?functionId=receive", json=body) as answer:
        refused = await answer.json()

    assert refused["error"]["message"] == f"Build failed: missing {missing}"
    assert google.state.functions == {}


def _zip(names: set[str]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return written.getvalue()

"""The stand-in of Google's APIs checks what gcloud does not, as the APIs do.

What is refused for a while, or by an organisation, is tested by the deployment itself.
"""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from local.gcp import GoogleServer
from tests.cases import Case

CASES = json.loads(Path(__file__).with_name("refusals.json").read_text("utf-8"))
_ENABLED = (
    "cloudfunctions",
    "cloudscheduler",
    "iam",
    "logging",
    "monitoring",
    "run",
    "secretmanager",
)
_ACCOUNT = "account-1@acme-demo.iam.gserviceaccount.com"
_MEMBER = f"serviceAccount:{_ACCOUNT}"
_NEEDED = {"main.py", "requirements.txt"}
_POLICIES = "monitoring/v3/projects/acme-demo/alertPolicies"
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


@pytest.mark.parametrize("missing", ["main.py", "requirements.txt"])
async def test_a_source_that_could_not_run_fails(
    missing: str, google: GoogleServer, http: aiohttp.ClientSession
) -> None:
    """The upload must have the entry point and the requirements, or the function is FAILED."""
    client = _Client(google, http)
    await client.prepare()

    failed = await client.deploy(_NEEDED - {missing})

    assert failed == f"Build failed: missing {missing}"
    assert google.state.functions["receive"].body["state"] == "FAILED"


async def test_the_first_deployment_creates_the_service_agent_and_is_refused(
    google: GoogleServer, http: aiohttp.ClientSession
) -> None:
    """Unless it was created before."""
    client = _Client(google, http)
    await client.prepare(agent=False)

    first, second = await client.deploy(_NEEDED), await client.deploy(_NEEDED)

    assert first.startswith("Unable to retrieve the repository metadata")
    assert second == ""


async def test_alerting_policies_are_edited_one_at_a_time(
    google: GoogleServer, http: aiohttp.ClientSession
) -> None:
    """While one edit runs, another one is refused; dashboards are not affected."""
    google.edit_seconds = 0.2
    client = _Client(google, http)
    await client.post("logging/v2/projects/acme-demo/metrics", {"name": "m", "filter": "f"})
    dashboards = "monitoring/v1/projects/acme-demo/dashboards"

    one, other, *shown = await asyncio.gather(
        *(client.post(_POLICIES, _policy("m")) for _ in range(2)),
        *(client.post(dashboards, {"displayName": "d"}) for _ in range(2)),
    )
    alone = await client.post(_POLICIES, _policy("m"))

    assert sorted((one, other)) == [
        (200, ""),
        (409, "Too many concurrent edits to the project configuration. Please try again."),
    ]
    assert {status for status, _ in shown} == {200}
    assert alone == (200, "")


class _Client:
    """Calls the APIs as gcloud does."""

    def __init__(self, google: GoogleServer, http: aiohttp.ClientSession) -> None:
        self._google = google
        self._http = http

    async def post(self, path: str, body: object) -> tuple[int, str]:
        """Returns the status, and the message of an error."""
        async with self._http.post(f"{self._google.url}/{path}", json=body) as answer:
            return answer.status, (await answer.json()).get("error", {}).get("message", "")

    async def prepare(self, *, agent: bool = True) -> None:
        """Creates an account that may build and read the secret, and the service agent."""
        project = "projects/acme-demo"
        await self.post(f"iam/v1/{project}/serviceAccounts", {"accountId": "account-1"})
        await self.post(f"secretmanager/v1/{project}/secrets?secretId=s", {"replication": {}})
        data = {"payload": {"data": "c2VjcmV0"}}
        await self.post(f"secretmanager/v1/{project}/secrets/s:addVersion", data)
        if agent:
            service = f"{project}/services/cloudfunctions.googleapis.com"
            await self.post(f"serviceusage/v1beta1/{service}:generateServiceIdentity", {})
        for thing, roles in (
            (f"cloudresourcemanager/v1/{project}", _BUILDER),
            (f"secretmanager/v1/{project}/secrets/s", ("secretmanager.secretAccessor",)),
        ):
            async with self._http.get(f"{self._google.url}/{thing}:getIamPolicy") as answer:
                policy = await answer.json()
            granted = [{"role": f"roles/{role}", "members": [_MEMBER]} for role in roles]
            policy["bindings"] = policy.get("bindings", []) + granted
            assert (await self.post(f"{thing}:setIamPolicy", {"policy": policy}))[0] == 200

    async def deploy(self, files: set[str]) -> str:
        """Returns the error of a deployment; empty if it succeeds."""
        place = "cloudfunctions/v2/projects/acme-demo/locations/any"
        functions = f"{self._google.url}/{place}/functions"
        async with self._http.post(f"{functions}:generateUploadUrl") as answer:
            upload = await answer.json()
        await self._http.put(upload["uploadUrl"], data=_zip(files))
        body = {
            "buildConfig": {
                "runtime": "python312",
                "serviceAccount": f"projects/acme-demo/serviceAccounts/{_ACCOUNT}",
                "source": {"storageSource": upload["storageSource"]},
            },
            "serviceConfig": {
                "serviceAccountEmail": _ACCOUNT,
                "secretVolumes": [{"secret": "s"}],
            },
        }
        async with self._http.get(f"{functions}/receive") as answer:
            is_there = answer.status == 200
        mask = "updateMask=build_config.source"
        method, url = (
            ("PATCH", f"{functions}/receive?{mask}")
            if is_there
            else ("POST", f"{functions}?functionId=receive")
        )
        async with self._http.request(method, url, json=body) as answer:
            started = await answer.json()
        if "error" in started:
            return str(started["error"]["message"])
        operation = f"{self._google.url}/cloudfunctions/v2/{started['name']}"
        async with self._http.get(operation) as answer:
            ended = await answer.json()
        return str(ended.get("error", {}).get("message", ""))


def _policy(metric: str) -> dict[str, object]:
    filter_ = f'metric.type="logging.googleapis.com/user/{metric}"'
    condition = {"conditionThreshold": {"filter": filter_}}
    return {"displayName": "p", "combiner": "OR", "conditions": [condition]}


def _zip(names: set[str]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return written.getvalue()

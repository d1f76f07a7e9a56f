"""The stand-in of Google's APIs checks what gcloud does not, as the APIs do.

What is refused for a while, or by an organisation, is tested by the deployment itself.
"""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
import zipfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local.gcp import GoogleServer
from tests.cases import Case, rows
from tests.unit.gcp.deploy.deploy_env import ID
from tests.unit.gcp.deploy.deploy_lifecycle import prepare_for_receive

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
_IMAGE = f"any-docker.pkg.dev/{ID}/r/image:1"
_NEEDED = {"main.py", "requirements.txt"}


@pytest.fixture
async def google() -> AsyncIterator[GoogleServer]:
    """A project without Pub/Sub, and with most of the other APIs."""
    async with GoogleServer("127.0.0.1:9") as running:
        running.state.services |= {f"{name}.googleapis.com" for name in _ENABLED}
        yield running


@pytest.mark.parametrize("case", rows(CASES))
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
    prepare_for_receive(google)

    failed = await deploy_receive(google, http, _NEEDED - {missing})

    assert failed == f"Build failed: missing {missing}"
    assert google.state.functions["receive"].body["state"] == "FAILED"


@pytest.mark.parametrize(
    ("role", "missing", "detail"),
    [
        ("", "", ""),
        ("roles/storage.objectViewer", "", "lacks roles/storage.objectViewer"),
        ("roles/artifactregistry.writer", "", "lacks roles/artifactregistry.writer"),
        ("", "Dockerfile", "unable to read Dockerfile: no such file"),
    ],
)
async def test_an_image_is_built_only_with_its_rights_and_files(
    role: str, missing: str, detail: str, google: GoogleServer, http: aiohttp.ClientSession
) -> None:
    """A build that fails leaves no image, and a job that names none is refused."""
    prepare_for_receive(google)
    needed = ("artifactregistry", "cloudbuild", "storage")
    google.state.services |= {f"{name}.googleapis.com" for name in needed}
    google.state.repositories["r"] = set()
    bindings = google.state.policies["project"]["bindings"]
    bindings[:] = [one for one in bindings if one["role"] != role]

    built = await build_image(google, http, {"Dockerfile", "main.py"} - {missing})
    task = {
        "serviceAccountName": f"pendo-receive@{ID}.iam.gserviceaccount.com",
        "timeoutSeconds": "60",
        "containers": [{"image": _IMAGE}],
    }
    job = {"template": {"spec": {"template": {"spec": task}}}}
    jobs = f"{google.url}/run/apis/run.googleapis.com/v1/namespaces/{ID}/jobs"
    made = await _json(http.post(jobs, json={"metadata": {"name": "j"}, "spec": job}))

    assert detail in built.get("statusDetail", "")
    assert built["status"] == ("FAILURE" if detail else "SUCCESS")
    assert google.state.repositories["r"] == (set() if detail else {"image:1"})
    assert ("error" in made) is bool(detail)


async def test_the_first_deployment_creates_the_service_agent_and_is_refused(
    google: GoogleServer, http: aiohttp.ClientSession
) -> None:
    """Unless it was created before."""
    prepare_for_receive(google, agent=False)

    first, second = [await deploy_receive(google, http, _NEEDED) for _ in range(2)]

    assert first.startswith("Unable to retrieve the repository metadata")
    assert second == ""


async def test_alerting_policies_are_edited_one_at_a_time(
    google: GoogleServer, http: aiohttp.ClientSession
) -> None:
    """While one edit runs, another one is refused; dashboards are not affected."""
    google.edit_seconds = 0.2
    google.state.metrics["m"] = {"name": "m"}

    async def create(version: str, kind: str, body: object) -> str:
        """Returns the error; empty if there is none."""
        url = f"{google.url}/monitoring/{version}/projects/{ID}/{kind}"
        answer = await _json(http.post(url, json=body))
        return str(answer.get("error", {}).get("message", ""))

    *edits, shown, also_shown = await asyncio.gather(
        *(create("v3", "alertPolicies", _policy("m")) for _ in range(2)),
        *(create("v1", "dashboards", {"displayName": "d"}) for _ in range(2)),
    )

    assert sorted(edits) == [
        "",
        "Too many concurrent edits to the project configuration. Please try again.",
    ]
    assert (shown, also_shown) == ("", "")
    assert await create("v3", "alertPolicies", _policy("m")) == ""


async def build_image(google: GoogleServer, http: aiohttp.ClientSession, files: set[str]) -> Any:
    """Uploads an archive and builds an image of it, as gcloud does; returns the build."""
    await http.post(f"{google.url}/storage/b", json={"name": "b"})
    archive = _tar(files)
    fields = json.dumps({"size": str(len(archive))}).encode()
    parts = b"--x\nA: b\n\n%s\n--x\nA: b\n\n%s\n--x--\n" % (fields, archive)
    await http.post(f"{google.url}/upload/storage/v1/b/b/o?name=source.tgz", data=parts)
    body = {
        "serviceAccount": f"any/pendo-build@{ID}.iam.gserviceaccount.com",
        "options": {"logging": "CLOUD_LOGGING_ONLY"},
        "source": {"storageSource": {"bucket": "b", "object": "source.tgz"}},
        "substitutions": {"_IMAGE": _IMAGE},
        "steps": [{"args": ["build", "--file=Dockerfile", "."]}],
    }
    builds = f"{google.url}/cloudbuild/v1/projects/{ID}/locations/any/builds"
    started = await _json(http.post(builds, json=body))
    return await _json(http.get(f"{builds}/{started['metadata']['build']['id']}"))


async def deploy_receive(google: GoogleServer, http: aiohttp.ClientSession, files: set[str]) -> str:
    """Deploys `receive` as gcloud does; returns the error, which is empty if it succeeds."""
    functions = f"{google.url}/cloudfunctions/v2/projects/{ID}/locations/any/functions"
    upload = await _json(http.post(f"{functions}:generateUploadUrl"))
    await http.put(upload["uploadUrl"], data=_zip(files))
    body = {
        "buildConfig": {
            "runtime": "python312",
            "serviceAccount": f"any/pendo-build@{ID}.iam.gserviceaccount.com",
            "source": {"storageSource": upload["storageSource"]},
        },
        "serviceConfig": {
            "serviceAccountEmail": f"pendo-receive@{ID}.iam.gserviceaccount.com",
            "secretVolumes": [{"secret": "pendo-webhook-secrets"}],
        },
    }
    started = await _json(http.post(f"{functions}?functionId=receive", json=body))
    if "error" not in started:
        started = await _json(http.get(f"{google.url}/cloudfunctions/v2/{started['name']}"))
    return str(started.get("error", {}).get("message", ""))


async def _json(answering: AbstractAsyncContextManager[aiohttp.ClientResponse]) -> Any:
    async with answering as answer:
        return await answer.json()


def _policy(metric: str) -> dict[str, object]:
    filter_ = f'metric.type="logging.googleapis.com/user/{metric}"'
    condition = {"conditionThreshold": {"filter": filter_}}
    return {"displayName": "p", "combiner": "OR", "conditions": [condition]}


def _tar(names: set[str]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for name in sorted(names):
            archive.addfile(tarfile.TarInfo(f"./{name}"))
    return written.getvalue()


def _zip(names: set[str]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return written.getvalue()

"""The doctor with the real gcloud and a stand-in of Google's APIs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local.aep import AepServer
from local.functions import PROJECT, Line
from local.gcp import GoogleServer
from local.pipeline import SECRET, run_pipeline
from local.pubsub import PubSubServer
from pendo_aep.gcp.doctor import commands, run
from pendo_aep.gcp.doctor.observe import Found, GcloudObserver, NotFound, Unavailable
from tests.monitoring.files import every
from tests.unit.cli.cli_harness import run_doctor
from tests.unit.gcp.doctor.doctor_fixtures import (
    DATA,
    DEPLOYMENT,
    RECONCILE,
    healthy,
    healthy_output,
    table,
)
from tests.unit.gcp.gcloud_server import GcloudServer

pytestmark = pytest.mark.emulator

_APIS = (
    "cloudresourcemanager",
    "pubsub",
    "secretmanager",
    "cloudfunctions",
    "cloudscheduler",
    "logging",
    "run",
)
_TOPIC = commands.topic("pendo-events")
_TOPIC_PATH = "pubsub/v1/projects/demo/topics/pendo-events"


def google_with(output: Mapping[str, Any]) -> GoogleServer:
    """Returns the APIs that make gcloud print this output for each command."""
    google = GoogleServer("127.0.0.1:9", project="demo")
    google.state.services |= {f"{api}.googleapis.com" for api in _APIS}
    for command, value in output.items():
        if not command.startswith("logging "):  # the log is the state's
            body = {"versions": value} if isinstance(value, list) else value
            google.fixed[api_path(command)] = (200, body)
    return google


def api_path(command: str) -> str:
    """Returns the path that gcloud calls for a command, with the API in front."""
    *words, name = (word for word in command.split() if not word.startswith("--"))
    secret = command.rpartition("--secret=")[2]
    place = "projects/demo/locations/europe-west1"
    secrets = "secretmanager/v1/projects/demo/secrets"
    paths = {
        "projects describe": f"cloudresourcemanager/v1/projects/{name}",
        "projects get-iam-policy": f"cloudresourcemanager/v1/projects/{name}:getIamPolicy",
        "functions describe": f"cloudfunctions/v2/{place}/functions/{name}",
        "run services describe": f"run/apis/serving.knative.dev/v1/namespaces/demo/services/{name}",
        "run services get-iam-policy": f"run/v1/{place}/services/{name}:getIamPolicy",
        "run jobs describe": f"run/apis/run.googleapis.com/v1/namespaces/demo/jobs/{name}",
        "run jobs get-iam-policy": f"run/v1/{place}/jobs/{name}:getIamPolicy",
        "scheduler jobs describe": f"cloudscheduler/v1/{place}/jobs/{name}",
        "secrets versions list": f"{secrets}/{name}/versions",
        "secrets versions access": f"{secrets}/{secret}/versions/{name}:access",
        "secrets get-iam-policy": f"{secrets}/{name}:getIamPolicy",
    }
    kind = " ".join(words)
    if kind in paths:
        return paths[kind]
    _, collection, action = words
    verb = ":getIamPolicy" if action == "get-iam-policy" else ""
    return f"pubsub/v1/projects/demo/{collection}/{name}{verb}"


@pytest.fixture(scope="module")
async def server(gcloud: str) -> AsyncIterator[GcloudServer]:
    """Gcloud, loaded once for all tests."""
    async with GcloudServer(gcloud, dict(os.environ)) as running:
        yield running


@pytest.fixture
def on_path(server: GcloudServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that gcloud."""
    monkeypatch.setenv("PATH", str(server.folder), prepend=os.pathsep)


@pytest.fixture
async def google() -> AsyncIterator[GoogleServer]:
    """The APIs of a healthy deployment."""
    async with google_with(table("healthy")) as running:
        yield running


def use(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> GcloudObserver:
    """Returns the real gcloud, in this environment."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return GcloudObserver("demo")


@pytest.mark.usefixtures("on_path")
async def test_every_command_shows_what_the_tables_say(
    google: GoogleServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gcloud accepts each command, only reads, and prints what Google answers."""
    observer = use(google.environment(tmp_path), monkeypatch)
    value = commands.secret_value("pendo-webhook-secrets", "latest")

    deployment = replace(DEPLOYMENT, reconcile=RECONCILE)
    observations = await run.observe_deployment(deployment, observer)

    assert {**observations, value: await observer.observe(value)} == healthy()
    assert await observer.observe(commands.log_lines("e")) == Found([])
    assert {call.method for call in google.calls} == {"GET", "POST"}
    posted = [call.path for call in google.calls if call.method == "POST"]
    assert all(path.endswith((":getIamPolicy", ":list")) for path in posted)


@pytest.mark.usefixtures("on_path")
@pytest.mark.parametrize(
    ("refusal", "observed"),
    [
        (
            {"code": 403, "message": "you may not", "status": "PERMISSION_DENIED"},
            Unavailable(
                "you may not look at it (or it is not there); roles/viewer suffices",
                "gcloud projects add-iam-policy-binding demo --member=user:YOU "
                "--role=roles/viewer --condition=None",
            ),
        ),
        (
            {
                "code": 403,
                "message": "Cloud Pub/Sub API has not been used in project demo before or it is "
                "disabled. Enable it by visiting https://console.developers.google.com/apis/api/"
                "pubsub.googleapis.com/overview?project=demo then retry.",
                "status": "PERMISSION_DENIED",
            },
            Unavailable(
                "its API pubsub.googleapis.com is not enabled",
                "gcloud services enable pubsub.googleapis.com --project=demo",
            ),
        ),
        ({"code": 404, "message": "it is not there", "status": "NOT_FOUND"}, NotFound()),
        (
            {"code": 401, "message": "who are you", "status": "UNAUTHENTICATED"},
            Unavailable("gcloud is not logged in", "gcloud auth login"),
        ),
    ],
    ids=["not allowed", "not enabled", "not there", "token not taken"],
)
async def test_a_refusal_is_understood(
    refusal: dict[str, Any],
    observed: object,
    google: GoogleServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The doctor recognises what Google says in gcloud's own words."""
    google.fixed[_TOPIC_PATH] = (refusal["code"], {"error": refusal})

    assert await use(google.environment(tmp_path), monkeypatch).observe(_TOPIC) == observed


@pytest.mark.usefixtures("gcloud")
async def test_without_a_login_it_says_so(
    google: GoogleServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a gcloud configuration that has no credentials."""
    environment = google.environment(tmp_path)
    del environment["CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"]

    observed = await use(environment, monkeypatch).observe(_TOPIC)

    assert observed == Unavailable("gcloud is not logged in", "gcloud auth login")


def test_gcloud_understands_every_fix(gcloud: str, tmp_path: Path) -> None:
    """Each gcloud command in the tables exists, with flags that it accepts."""
    mends = {
        command.partition("  #")[0].strip()
        for path in DATA.glob("*.json")
        for mend in every(json.loads(path.read_text("utf-8")), "mend")
        for command in (mend or "").split("&&")
        if command.strip().startswith("gcloud ")
    }
    file = tmp_path / "commands.json"
    file.write_text(json.dumps([{"command_string": mend} for mend in sorted(mends)]), "utf-8")
    checked = subprocess.run(
        (gcloud, "meta", "lint-gcloud-commands", f"--commands-file={file}"),
        check=True,
        capture_output=True,
        env=os.environ | {"CLOUDSDK_CONFIG": str(tmp_path / "gcloud")},
    )
    results = json.loads(checked.stdout)

    assert len(results) == len(mends) > 0
    assert [one["error_message"] for one in results if not one["success"]] == []


@pytest.mark.usefixtures("on_path")
async def test_the_doctor_checks_a_healthy_deployment(tmp_path: Path) -> None:
    """As people run it: gcloud, pings, and an event that arrives in the stand-in of AEP."""
    config = tmp_path / "my.env"
    names = (PROJECT / "deploy" / "config.env").read_text("utf-8")
    config.write_text(names + "\nPROJECT=demo\nDEPLOY_DRAIN=true\n", "utf-8")
    lines: list[Line] = []
    async with (
        PubSubServer() as server,
        AepServer() as aep,
        run_pipeline(server.host, aep, on_line=lambda _, line: lines.append(line)) as pipeline,
        google_with(healthy_output(pipeline.receive.url, SECRET)) as google,
    ):
        google.state.log = lines
        environment = google.environment(tmp_path)
        ran = await run_doctor("--config", str(config), "--json", **environment)
        [arrived] = aep.distinct_ids

    assert (ran.code, ran.err) == (0, "")
    assert {finding["verdict"] for finding in ran.lines} == {"ok"}
    assert ran.lines[-1]["text"] == f"AEP has accepted the test event {arrived}"

"""The doctor with the real gcloud, which a stand-in of Google's APIs answers."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from local.aep import AepServer
from local.functions import PROJECT, Line
from local.pipeline import SECRET, run_pipeline
from local.pubsub import PubSubServer
from pendo_aep.gcp.doctor import commands, examination
from pendo_aep.gcp.doctor.gcloud import GcloudProgram
from pendo_aep.gcp.doctor.look import Absent, Seen, Unseen
from tests.monitoring.files import every
from tests.unit.cli.cli_harness import run_doctor
from tests.unit.gcp.doctor.clinic import DATA, DEPLOYMENT, LOOKS, answers, table, well
from tests.unit.gcp.doctor.google import Google

pytestmark = [pytest.mark.emulator, pytest.mark.usefixtures("gcloud")]

_TOPIC = commands.topic("pendo-events")


@pytest.fixture
async def google(tmp_path: Path) -> AsyncIterator[Google]:
    """The APIs, of a deployment that is well."""
    async with Google(table("well"), tmp_path / "gcloud") as running:
        yield running


def use(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> GcloudProgram:
    """The real gcloud, in this environment."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return GcloudProgram("demo")


async def test_every_look_shows_what_the_tables_say(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gcloud understands each command, asks one thing, changes none, and says what Google says."""
    gcloud = use(google.environment, monkeypatch)
    value = commands.secret_value("pendo-webhook-secrets", "latest")

    looks = await examination.see(DEPLOYMENT, gcloud)

    assert {**looks, value: await gcloud.look(value)} == well()
    assert await gcloud.look(commands.log_lines("e")) == Seen([])
    assert {method for method, path in google.calls if path != "/v2/entries:list"} <= {
        "GET",
        "POST",
    }
    assert all(path.endswith((":getIamPolicy", ":list")) for m, path in google.calls if m == "POST")


@pytest.mark.parametrize(
    ("refusal", "look"),
    [
        (
            {"code": 403, "message": "you may not", "status": "PERMISSION_DENIED"},
            Unseen(
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
            Unseen(
                "its API pubsub.googleapis.com is not enabled",
                "gcloud services enable pubsub.googleapis.com --project=demo",
            ),
        ),
        ({"code": 404, "message": "it is not there", "status": "NOT_FOUND"}, Absent()),
        (
            {"code": 401, "message": "who are you", "status": "UNAUTHENTICATED"},
            Unseen("gcloud is not logged in", "gcloud auth login"),
        ),
    ],
    ids=["not allowed", "not enabled", "not there", "token not taken"],
)
async def test_a_refusal_is_understood(
    refusal: dict[str, Any], look: object, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Google says reaches the doctor through gcloud's own words."""
    google.refusals["/topics/pendo-events"] = refusal

    assert await use(google.environment, monkeypatch).look(_TOPIC) == look


async def test_without_a_login_it_says_so(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gcloud that nobody has logged in with."""
    environment = google.environment | {"CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "false"}
    look = await use(environment, monkeypatch).look(_TOPIC)

    assert look == Unseen("gcloud is not logged in", "gcloud auth login")


def test_what_mends_is_what_gcloud_understands(gcloud: str, tmp_path: Path) -> None:
    """Each command of the doctor's, of all tables, is one that gcloud has, with flags it takes."""
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
    told = json.loads(checked.stdout)

    assert len(told) == len(mends) > len(LOOKS)
    assert [one["error_message"] for one in told if not one["success"]] == []


async def test_a_deployment_that_is_well_from_one_end_to_the_other(tmp_path: Path) -> None:
    """As people run it: looks, pings, and an event that the stand-in of AEP has in the end."""
    config = tmp_path / "my.env"
    names = (PROJECT / "deploy" / "config.env").read_text("utf-8")
    config.write_text(names + "\nPROJECT=demo\nDEPLOY_DRAIN=true\n", "utf-8")
    lines: list[Line] = []
    async with (
        PubSubServer() as server,
        AepServer() as aep,
        run_pipeline(server.host, aep, on_line=lambda _, line: lines.append(line)) as pipeline,
        Google(answers(pipeline.receive.url, SECRET), tmp_path / "gcloud", lines) as google,
    ):
        ran = await run_doctor("--config", str(config), "--json", **google.environment)
        [arrived] = aep.distinct_ids

    assert (ran.code, ran.err) == (0, "")
    assert {finding["verdict"] for finding in ran.lines} == {"ok"}
    assert ran.lines[-1]["text"] == f"AEP has taken the test event {arrived}"

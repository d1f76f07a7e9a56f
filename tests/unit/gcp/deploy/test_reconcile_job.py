"""The job that reconciles: what its image is built from, its settings, and when it is deployed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pendo_aep.gcp.config import Config, read_config
from pendo_aep.gcp.deploy import reconcile_job
from pendo_aep.gcp.deploy.functions import SOURCE
from pendo_aep.gcp.deploy.resource import Inventory
from pendo_aep.settings import PlatformSettings, load
from tests.unit.gcp.conftest import FakeGcloud, Rule
from tests.unit.gcp.deploy.deploy_env import write_config

_TASK = ("spec", "template", "spec", "template", "spec")
_PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
_DOCKERFILE = (SOURCE / "deploy/reconcile/Dockerfile").read_text("utf-8")


def configured(folder: Path, **changes: str) -> Config:
    """Returns the config with some changes."""
    return read_config(write_config(folder, **changes))


def shown(config: Config, folder: Path, **changes: Any) -> dict[str, Any]:
    """Returns what gcloud shows of the job that this config deploys, with some changes."""
    _, words = _command(config, folder)
    flags = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
    environment = json.loads((folder / "RECONCILE.json").read_text("utf-8"))
    container = {
        "image": flags["image"],
        "args": flags["args"].split(","),
        "env": [{"name": key, "value": value} for key, value in environment.items()],
    }
    task = {"serviceAccountName": flags["service-account"], "containers": [container | changes]}
    job: dict[str, Any] = {"spec": task}
    for key in reversed(_TASK[:-1]):
        job = {key: job}
    label, value = flags["labels"].split("=")
    return {**job, "metadata": {"name": config["RECONCILE_JOB"], "labels": {label: value}}}


def _command(config: Config, folder: Path) -> tuple[str, tuple[str, ...]]:
    job = reconcile_job.job(config, reconcile_job.image(config), folder)
    return job.name, job.create


def changes(config: Config, fake: FakeGcloud, folder: Path) -> list[list[str]]:
    """Returns the first words of each command that changes something, in order."""
    inventory = Inventory(config, fake.gcloud, reconcile_job.KINDS)
    reconcile_job.apply(config, inventory, fake.gcloud, folder)
    return [words.split()[:3] for words in fake.changed]


_REPOSITORY = Rule("repositories list", json.dumps([{"name": "x/repositories/pendo-to-aep"}]))


def test_a_new_job_gets_its_repository_and_image_first(fake: FakeGcloud, tmp_path: Path) -> None:
    """Nothing exists: each command needs what the one before has created."""
    assert changes(configured(tmp_path), fake, tmp_path) == [
        ["artifacts", "repositories", "create"],
        ["builds", "submit", str(SOURCE)],
        ["run", "jobs", "deploy"],
    ]


def test_the_same_job_is_left_alone(fake: FakeGcloud, tmp_path: Path) -> None:
    """Image, settings and account are those of the config."""
    config = configured(tmp_path)
    fake.answer(_REPOSITORY, Rule("run jobs list", json.dumps([shown(config, tmp_path)])))

    assert changes(config, fake, tmp_path) == []


@pytest.mark.parametrize(
    ("seen", "commands"),
    [
        ({"image": "an older one"}, ["builds", "run"]),
        ({"args": ["reconcile", "--since=27h", "--until=3h", "--replay-missing"]}, ["run"]),
        ({"env": []}, ["run"]),
    ],
)
def test_only_what_differs_is_done_again(
    seen: dict[str, Any], commands: list[str], fake: FakeGcloud, tmp_path: Path
) -> None:
    """A build takes minutes: it is repeated only if what the image is built from differs."""
    config = configured(tmp_path)
    jobs = json.dumps([shown(config, tmp_path, **seen)])
    fake.answer(_REPOSITORY, Rule("run jobs list", jobs))

    assert [words[0] for words in changes(config, fake, tmp_path)] == commands


def test_the_job_runs_once_with_the_span_of_the_config(tmp_path: Path) -> None:
    """Without a second try, which would find the same again, and without `--replay-missing`."""
    config = configured(tmp_path, RECONCILE_SINCE="51h", RECONCILE_UNTIL="4h")

    _, words = _command(config, tmp_path)

    assert "--args=reconcile,--since=51h,--until=4h,--json" in words
    assert "--max-retries=0" in words
    assert "--task-timeout=3600s" in words


@pytest.mark.parametrize(
    ("role", "verbs"),
    [
        (None, ["create"]),
        ({"includedPermissions": [*reconcile_job.PERMISSIONS]}, []),
        ({"includedPermissions": [*reconcile_job.PERMISSIONS], "deleted": True}, ["undelete"]),
        ({"includedPermissions": ["pubsub.topics.delete"]}, ["update"]),
    ],
)
def test_the_role_is_created_or_taken_back(
    role: dict[str, Any] | None, verbs: list[str], fake: FakeGcloud, tmp_path: Path
) -> None:
    """Google keeps the name of a deleted role for weeks; more rights than ours are taken away."""
    found = Rule("roles describe", json.dumps(role)) if role else Rule("describe", err="NOT_FOUND")
    fake.answer(found)

    reconcile_job.grant_reading(configured(tmp_path), fake.gcloud)

    commands = [words.split() for words in fake.changed]
    assert [words[2] for words in commands if words[:2] == ["iam", "roles"]] == verbs
    assert commands[-1][:2] == ["projects", "add-iam-policy-binding"]


def test_the_role_can_neither_publish_nor_change_anything() -> None:
    """It creates and deletes subscriptions and snapshots, and reads."""
    verbs = {one.rpartition(".")[2] for one in reconcile_job.PERMISSIONS}

    assert not verbs & {"publish", "update", "setIamPolicy", "detachSubscription"}
    assert "pubsub.topics.delete" not in reconcile_job.PERMISSIONS


@pytest.mark.parametrize(
    ("push", "drain", "names"),
    [
        ("true", "false", {"pendo-events-deliver"}),
        ("false", "true", {"pendo-events-drain"}),
        ("true", "true", {"pendo-events-deliver", "pendo-events-drain"}),
    ],
)
def test_the_command_accepts_the_settings_of_the_job(
    push: str, drain: str, names: set[str], tmp_path: Path
) -> None:
    """It can reach AEP, and looks at the subscriptions that exist and at no other."""
    secret = tmp_path / "secret"
    secret.write_text("a-secret", "utf-8")
    config = configured(tmp_path, DEPLOY_PUSH=push, DEPLOY_DRAIN=drain, AEP_SANDBOX="dev")
    given = reconcile_job.settings(config)

    settings = load(PlatformSettings, {**given, "AEP_CLIENT_SECRET_FILE": str(secret)})

    assert (settings.aep_client_id, settings.aep_sandbox) == ("client-2", "dev")
    assert {settings.push_subscription, given.get("DRAIN_SUBSCRIPTION", "")} - {""} == names


def test_the_image_has_the_files_and_packages_that_it_names() -> None:
    """What the Dockerfile copies is uploaded; the second list of packages repeats none."""
    uploaded = {path.as_posix() for path in reconcile_job.uploaded_files()}
    copied = re.findall(r"^COPY (\S+)", _DOCKERFILE, re.MULTILINE)
    runtime = dict(_PIN.findall((SOURCE / "requirements.txt").read_text("utf-8")))
    text = (SOURCE / "deploy/reconcile/requirements.txt").read_text("utf-8")
    more = dict(_PIN.findall(text))

    assert len(copied) == 3
    assert all(
        name in uploaded or any(path.startswith(f"{name}/") for path in uploaded) for name in copied
    )
    assert not runtime.keys() & more.keys()
    assert {"psycopg", "psycopg-binary", "rich"} <= more.keys()
    hashed = re.findall(r"^[a-z0-9-]+==.*\\\n +--hash=sha256:", text, re.MULTILINE)
    assert len(hashed) == len(more)


def test_each_package_of_the_command_is_in_the_image() -> None:
    """With the version that pyproject.toml names."""
    project = (SOURCE / "pyproject.toml").read_text("utf-8")
    [ops] = re.findall(r"^ops = \[(.*?)\]$", project, re.MULTILINE | re.DOTALL)
    named = dict(re.findall(r'"([a-z0-9-]+)(?:\[\w+\])?==([^"]+)"', ops))
    text = (SOURCE / "deploy/reconcile/requirements.txt").read_text("utf-8")

    assert named.items() <= dict(_PIN.findall(text)).items()
    assert len(named) > 3


@pytest.mark.process
def test_the_command_starts_from_the_upload_alone(tmp_path: Path) -> None:
    """It needs no file of the repository that is not uploaded."""
    for path in reconcile_job.uploaded_files():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(SOURCE / path, tmp_path / path)
    [entry] = re.findall(r"^ENTRYPOINT (\[.*\])$", _DOCKERFILE, re.MULTILINE)
    program, *words = json.loads(entry)

    done = subprocess.run(
        [sys.executable, *words, "--help"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )

    assert program == "python"
    assert (done.returncode, "usage" in done.stdout.lower()) == (0, True), done.stderr

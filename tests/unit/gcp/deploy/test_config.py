"""The config is checked whole, before anything is called."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from local.functions import PROJECT
from pendo_aep.gcp.deploy.config import TEMPLATE, ConfigWrong, read_config
from pendo_aep.gcp.deploy.functions import functions
from pendo_aep.settings import DeliverSettings, DrainSettings, ReceiveSettings, load
from tests.cases import Case
from tests.unit.gcp.deploy.site import FILLED, filled_in

CASES = json.loads(Path(__file__).with_name("data").joinpath("config.json").read_text("utf-8"))


def written(folder: Path, **changes: str) -> Path:
    """A config that is filled in, with some changes."""
    path = folder / "my.env"
    path.write_text(filled_in({**FILLED, **changes}), "utf-8")
    return path


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in CASES])
def test_every_wrong_value_is_named_at_once(case: Case, tmp_path: Path) -> None:
    """The message has a line for each name of the case, in any order, and no other."""
    with pytest.raises(ConfigWrong) as wrong:
        read_config(written(tmp_path, **case["config"]))

    lines = [line.strip() for line in str(wrong.value).splitlines()[1:]]
    assert sorted(line.partition(":")[0] for line in lines) == sorted(case["names"])


@pytest.mark.parametrize("line", ["NAME", "A=b c", "A='b", "1A=b"])
def test_a_line_that_a_shell_would_not_read_is_named(line: str, tmp_path: Path) -> None:
    """It says which line it is."""
    path = written(tmp_path)
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*lines, line]), "utf-8")

    with pytest.raises(ConfigWrong, match=f"line {len(lines) + 1}:"):
        read_config(path)


def test_what_a_config_leaves_out_is_as_shipped(tmp_path: Path) -> None:
    """A short file is enough, also one that was copied from an earlier version."""
    path = tmp_path / "short.env"
    path.write_text("\n".join(f"{k}='{v}'" for k, v in FILLED.items()), "utf-8")

    assert read_config(path).values == read_config(written(tmp_path)).values


def test_settings_that_are_deployed_are_taken_by_the_functions(tmp_path: Path) -> None:
    """Each function starts with what the config gives it."""
    models: dict[str, type[ReceiveSettings | DeliverSettings]] = {
        "RECEIVE": ReceiveSettings,
        "DELIVER": DeliverSettings,
        "DRAIN": DrainSettings,
    }
    secret = tmp_path / "secret"
    secret.write_text("a-secret", "utf-8")

    given = {f.kind: f for f in functions(read_config(written(tmp_path)))}

    assert given.keys() == models.keys()
    for kind, function in given.items():
        mounted = {name: str(secret) for name in function.environment if name.endswith("_FILE")}
        model: type[ReceiveSettings | DeliverSettings] = models[kind]
        load(model, function.environment | mounted)


def test_every_setting_of_the_functions_can_be_set(tmp_path: Path) -> None:
    """A setting that is new in the functions has a name in the config, or a fixed place."""
    text = TEMPLATE.read_text("utf-8")
    fixed = {"GOOGLE_CLOUD_PROJECT", "PUBSUB_TOPIC"}  # PROJECT and EVENTS_TOPIC
    models = (ReceiveSettings, DrainSettings)
    names = {name.upper() for model in models for name in model.model_fields} - fixed
    secrets = {name for model in models for name in model.secrets}

    missing = [name for name in names - secrets if f"\n{name}=" not in text]
    assert missing == []
    assert all(f"\n{name}_FILE=" in text for name in secrets)
    assert read_config(written(tmp_path)).values.keys() >= names - secrets


@pytest.mark.parametrize("script", ["deploy.sh", "destroy.sh"])
def test_with_a_wrong_config_nothing_is_called(script: str, tmp_path: Path) -> None:
    """No gcloud is started, and the exit code is that of a failure."""
    called = tmp_path / "called"
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(f"#!/bin/sh\ntouch {called}\n", "utf-8")
    gcloud.chmod(0o755)

    done = _run(script, written(tmp_path, PROJECT=""), PATH=f"{tmp_path}:{os.environ['PATH']}")

    assert done.returncode == 1
    assert "PROJECT: is not set" in done.stderr
    assert not called.exists()


def test_without_gcloud_it_says_where_to_get_it(tmp_path: Path) -> None:
    """Before Python is even asked for."""
    for name in ("bash", "dirname"):
        tool = shutil.which(name)
        assert tool
        (tmp_path / name).symlink_to(tool)

    done = _run("deploy.sh", tmp_path / "none", PATH=str(tmp_path))

    assert done.returncode == 1
    assert "gcloud is not on the PATH" in done.stderr


def _run(script: str, config: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROJECT / "deploy" / script), str(config)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )

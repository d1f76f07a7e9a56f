"""The scripts: what they check before they start Python, and that any bash can run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from local.functions import PROJECT
from tests.unit.gcp.deploy.deploy_env import write_config

SCRIPTS = [PROJECT / "deploy" / name for name in ("deploy.sh", "destroy.sh", "run")]
# What bash 3.2 does not have, which macOS still ships.
_NEWER = re.compile(
    r"declare -A|local -A|mapfile|readarray|\$\{\w+(,,|\^\^|@)|\|&|&>>|coproc|wait -n"
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_script_is_clean(script: Path) -> None:
    """Shellcheck has nothing to say, and nothing in it is newer than bash 3.2."""
    assert _NEWER.findall(script.read_text("utf-8")) == []
    program = shutil.which("shellcheck")
    if program is None:
        pytest.skip("shellcheck is not on the PATH")

    done = subprocess.run([program, str(script)], capture_output=True, text=True, check=False)

    assert done.stdout == ""
    assert done.returncode == 0


@pytest.mark.parametrize("script", ["deploy.sh", "destroy.sh"])
def test_with_a_wrong_config_nothing_is_called(script: str, tmp_path: Path) -> None:
    """No gcloud is started, and the exit code is that of a failure."""
    called = tmp_path / "called"
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(f"#!/bin/sh\ntouch {called}\n", "utf-8")
    gcloud.chmod(0o755)
    config = write_config(tmp_path, PROJECT="")

    done = _run(script, config, PATH=f"{tmp_path}:{os.environ['PATH']}")

    assert done.returncode == 1
    assert "PROJECT: is not set" in done.stderr
    assert not called.exists()


def test_without_gcloud_it_says_where_to_get_it(tmp_path: Path) -> None:
    """Before it looks for Python."""
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

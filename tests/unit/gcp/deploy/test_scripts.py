"""The scripts, as a shell reads them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from local.functions import PROJECT

SCRIPTS = [PROJECT / "deploy" / name for name in ("deploy.sh", "destroy.sh", "run")]
# What bash 3.2 does not have, which macOS still brings.
_NEWER = re.compile(
    r"declare -A|local -A|mapfile|readarray|\$\{\w+(,,|\^\^|@)|\|&|&>>|coproc|wait -n"
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_script_is_clean(script: Path) -> None:
    """The linter of shells has nothing to say."""
    program = shutil.which("shellcheck")
    if program is None:
        pytest.skip("shellcheck is not on the PATH")

    done = subprocess.run([program, str(script)], capture_output=True, text=True, check=False)

    assert done.stdout == ""
    assert done.returncode == 0


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_script_runs_in_bash_of_macos(script: Path) -> None:
    """Nothing in it is newer than bash 3.2."""
    assert _NEWER.findall(script.read_text("utf-8")) == []

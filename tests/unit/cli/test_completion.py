"""`completion`: its script in a real shell, for what somebody has typed when they press Tab."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import orjson
import pytest

from local.functions import PROJECT

CASES = orjson.loads((Path(__file__).parent / "completions.json").read_bytes())
# What bash does on Tab: it finds the function of the first word, and reads COMPREPLY after it.
PRESS_TAB = r"""
set -f
eval "$1"; shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
[[ $(complete -p "$1") =~ -F\ ([^ ]+) ]]
"${BASH_REMATCH[1]}" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
"""


def run(*command: str, folder: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end."""
    return subprocess.run(
        command, capture_output=True, check=False, cwd=folder, text=True, timeout=60
    )


@cache
def script(shell: str) -> str:
    """What the command prints for a shell."""
    ran = run(sys.executable, "-m", "pendo_aep", "completion", shell)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(case["typed"]))
def test_tab_in_bash(case: dict[str, list[str]]) -> None:
    """Commands, actions, options, their values and files are completed where they are allowed."""
    ran = run("bash", "-c", PRESS_TAB, "bash", script("bash"), "pendo-aep", *case["typed"])

    assert (ran.stderr, ran.stdout.split()) == ("", case["offered"])


def test_the_script_defines_the_command(tmp_path: Path) -> None:
    """`pendo-aep` runs the same Python from any folder, whether it is on the PATH or not."""
    use = 'eval "$1"; pendo-aep --help'
    ran = run("bash", "-c", use, "bash", script("bash"), folder=tmp_path)

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("usage: pendo-aep ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_each_shell_can_read_its_script(shell: str) -> None:
    """The script names every command, and a shell that is installed accepts its syntax."""
    written = script(shell)

    for name in ("aep", "dead-letters", "doctor", "destroy", "replay", "--delete-data"):
        assert name.removeprefix("--") in written
    if program := shutil.which(shell):
        checked = run(program, "-n", "-c", written)
        assert (checked.returncode, checked.stderr) == (0, "")

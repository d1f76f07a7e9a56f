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
SHELLS = ("bash", "zsh", "tcsh")


def run(*command: str, folder: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    """A program, to its end."""
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
    """Commands, actions, options, their values and files are completed where they may stand."""
    ran = run("bash", "-c", PRESS_TAB, "bash", script("bash"), "pendo-aep", *case["typed"])

    assert (ran.stderr, ran.stdout.split()) == ("", case["offered"])


def test_the_short_name_is_this_very_command(tmp_path: Path) -> None:
    """`pendo-aep` runs the same Python and module, wherever one is."""
    use = 'eval "$1"; pendo-aep --help'
    ran = run("bash", "-c", use, "bash", script("bash"), folder=tmp_path)

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("usage: python -m pendo_aep ")


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_can_read_its_script(shell: str) -> None:
    """The script names every command; where the shell is installed, it takes the syntax, too."""
    written = script(shell)

    for name in ("aep", "dead-letters", "doctor", "destroy", "replay", "--delete-data"):
        assert name.removeprefix("--") in written
    if program := shutil.which(shell):
        checked = run(program, "-n", "-c", written)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_without_shtab_it_says_what_to_install() -> None:
    """The functions do not need shtab, so it may be missing where they run."""
    without = "import sys; sys.modules['shtab'] = None; from pendo_aep.__main__ import main; "
    ran = run(sys.executable, "-c", without + "sys.exit(main(['completion', 'bash']))")

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        "python -m pendo_aep completion: shtab is missing: pip install -e '.[ops]'\n"
    )


def test_an_unknown_shell_is_wrong_usage() -> None:
    """Exit code 2, and the shells that there are."""
    ran = run(sys.executable, "-m", "pendo_aep", "completion", "nushell")

    assert (ran.returncode, ran.stdout) == (2, "")
    assert all(shell in ran.stderr for shell in SHELLS)

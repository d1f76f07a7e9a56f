"""The scripts and the pages, as a shell and gcloud read them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from local.functions import PROJECT
from tests.deploy.site import real_gcloud

SCRIPTS = [PROJECT / "deploy" / name for name in ("deploy.sh", "destroy.sh", "run")]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
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


@pytest.mark.emulator
def test_every_command_of_the_pages_is_one(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The real gcloud reads each command that README and docs show, up to the network call."""
    if request.config.getoption("--emulator") == "off":
        pytest.skip("gcloud: `make test-emulator` runs it")
    found = (command for page in PAGES for command in commands_of(page.read_text("utf-8")))
    commands = [*dict.fromkeys(found)]
    file = tmp_path / "commands.json"
    file.write_text(json.dumps([{"command_string": command} for command in commands]), "utf-8")

    done = subprocess.run(
        [real_gcloud(), "meta", "lint-gcloud-commands", f"--commands-file={file}"],
        env={"PATH": "/usr/bin:/bin", "CLOUDSDK_CONFIG": str(tmp_path)},
        capture_output=True,
        check=True,
    )

    answers = json.loads(done.stdout)
    assert len(answers) == len(commands) > 3
    assert [(a["command_string"], a["error_message"]) for a in answers if not a["success"]] == []


def commands_of(page: str) -> list[str]:
    """The gcloud commands in the `sh` blocks of a page, with something in place of variables."""
    found = []
    for block in re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        text = re.sub(r"\s*\\\n\s*", " ", block)
        text = re.sub(r"\$\([^()]*\)", "VALUE", text)
        text = re.sub(r"\$\{?\w+\}?", "VALUE", text)
        for line in text.splitlines():
            parts = re.split(r"[;|]|&&|\bdo\b", line.partition(" #")[0])
            found += [part.strip() for part in parts if part.strip().startswith("gcloud ")]
    return found


def test_commands_are_found_in_a_page() -> None:
    """Continued lines, pipes, loops and variables: what is checked is what stands there."""
    page = """
```sh
for a in b; do gcloud x create pendo-$a; done
printf %s "$S" | gcloud secrets create s \\
  --data-file=-  # from stdin
```
"""
    assert commands_of(page) == [
        "gcloud x create pendo-VALUE",
        "gcloud secrets create s --data-file=-",
    ]

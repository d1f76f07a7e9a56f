"""The documents: the gcloud commands in them are ones that gcloud understands."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.functions import PROJECT
from pendo_aep.gcp.config import TEMPLATE
from tests.repository.older_gcloud import for_installed
from tests.repository.test_links import DOCUMENTS

_SHELL = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"\bpendo-[a-z-]+|\baep-client-secret\b")
_OPERATIONS = PROJECT / "docs" / "operations.md"
_CONFIG = dict(re.findall(r"^(\w+)=([^\s\"]+)", TEMPLATE.read_text("utf-8"), re.MULTILINE))


def lines(document: Path) -> Iterator[str]:
    """The lines of its shell blocks, with what goes on in the next one, without comments."""
    for block in _SHELL.findall(document.read_text("utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            if not line.lstrip().startswith("#"):
                yield line


def commands(line: str) -> Iterator[str]:
    """Each gcloud command of a line: behind a pipe, and within `$(...)`, too."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    command: list[str] = []
    for word in [*words, ";"]:
        if word == "gcloud" or (command and not re.fullmatch(r"[();<>|&]+", word)):
            command.append(_filled_in(word))
        elif command:
            yield shlex.join(command)
            command = []


def _filled_in(word: str) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda found: _value(found[1]), word)


def _value(variable: str) -> str:
    """The configuration's, or one that gcloud takes in this place."""
    return str(_CONFIG.get(variable, "https://x.example" if variable.endswith("_URL") else "x"))


def complaint(gcloud: str, command: str) -> str | None:
    """What gcloud says against a command; it runs nothing, and asks nobody."""
    command = for_installed(gcloud, command)
    checked = subprocess.run(
        (gcloud, "meta", "lint-gcloud-commands", f"--command-string={command}"),
        check=True,
        capture_output=True,
        text=True,
    )
    [told] = json.loads(checked.stdout)
    return None if told["success"] else str(told["error_message"])


_FOUND = [
    pytest.param(command, id=f"{document.stem}-{command[:60]}")
    for document in DOCUMENTS
    for line in lines(document)
    for command in commands(line)
]


@pytest.fixture
def no_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's settings of gcloud."""
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "true")


@pytest.mark.emulator
@pytest.mark.usefixtures("no_login")
@pytest.mark.parametrize("command", _FOUND)
def test_gcloud_understands_it(command: str, gcloud: str) -> None:
    """Every word and flag of a command is one that gcloud has, with a value that it takes."""
    assert complaint(gcloud, command) is None


@pytest.mark.emulator
@pytest.mark.usefixtures("no_login")
@pytest.mark.parametrize(
    "line",
    [
        "gcloud pubsub subscriptions seek pendo-events-deliver --tme=2026-11-24T00:00:00Z",
        "gcloud pubsub subscriptions seek pendo-events-deliver --time=yesternight",
        "OLD=$(gcloud secrets versions acces latest --secret=x)",
        'printf %s "$NEW" | gcloud secrets versions add pendo-webhook-secrets --data=-',
        "gcloud scheduler jobs pause",
    ],
)
def test_a_mistake_is_found(line: str, gcloud: str) -> None:
    """A flag, a value or a word that is misspelt, wherever in a line it stands, and one missing."""
    [command] = commands(line)

    assert complaint(gcloud, command)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_none_is_overlooked(document: Path) -> None:
    """As many commands are found as the word stands in the shell blocks."""
    for line in lines(document):
        assert len([*commands(line)]) == len(re.findall(r"\bgcloud\b", line)), line


def test_names_are_those_of_the_deployment() -> None:
    """A part that a command of the runbook names is one that `deploy/config.env` names."""
    named = {name for line in lines(_OPERATIONS) for name in _NAME.findall(line)}

    assert named
    assert named <= set(_CONFIG.values())
    assert f"={_CONFIG['REGION']}" in _OPERATIONS.read_text("utf-8")


def test_settings_are_those_of_the_config() -> None:
    """What the runbook sets in `my.env`, or says is set there, is in `deploy/config.env`."""
    text = _OPERATIONS.read_text("utf-8")
    known = set(re.findall(r"^(\w+)=", TEMPLATE.read_text("utf-8"), re.MULTILINE))
    # Those of the commands, and those that give deploy.sh a secret: not in the file.
    others = {"GOOGLE_CLOUD_PROJECT", "PUBSUB_TOPIC", "PENDO_WEBHOOK_SECRETS", "AEP_CLIENT_SECRET"}
    statuses = {"PERMISSION_DENIED", "NOT_FOUND", "INVALID_ARGUMENT"}  # of gRPC, which look alike
    settings = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)(?:=\w+)?`", text)) - statuses

    assert settings
    assert settings <= known | others

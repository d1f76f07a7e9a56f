"""The documents: links, blocks of code, gcloud commands, and the tests that security.md names."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.configuration import PAGE, page
from local.functions import PROJECT
from pendo_aep.gcp.config import TEMPLATE
from pendo_aep.settings import (
    CatalogSettings,
    DrainSettings,
    LakeSettings,
    PlatformSettings,
    ReceiveSettings,
)
from tests.fuzz.campaign import read_results
from tests.fuzz.targets import TARGETS
from tests.repository.documents import files, for_installed

DOCUMENTS = files("*.md")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def anchors(document: Path) -> set[str]:
    """Returns the anchors that GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {word.strip().replace(" ", "-") for word in words}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_links_are_valid(document: Path) -> None:
    """A link within the repository names an existing file, and a heading in it."""
    for link in _LINK.findall(document.read_text("utf-8")):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_code_blocks_are_valid(document: Path) -> None:
    """A block of Python, JSON or shell can be parsed."""
    for language, code in _BLOCK.findall(document.read_text("utf-8")):
        if language == "python":
            ast.parse(re.sub(r"^ +", "", code))
        elif language == "json" and code.strip():
            json.loads(code)
        elif language == "sh":
            subprocess.run(("bash", "-n"), input=code, check=True, text=True)


_SHELL = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"\bpendo-[a-z-]+|\baep-client-secret\b")
_OPERATIONS = PROJECT / "docs" / "operations.md"
_CONFIG = dict(re.findall(r"^(\w+)=([^\s\"]+)", TEMPLATE.read_text("utf-8"), re.MULTILINE))


def lines(document: Path) -> Iterator[str]:
    """Yields the lines of its shell blocks, with continuations joined and without comments."""
    for block in _SHELL.findall(document.read_text("utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            if not line.lstrip().startswith("#"):
                yield line


def commands(line: str) -> Iterator[str]:
    """Yields each gcloud command of a line, also behind a pipe and within `$(...)`."""
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
    """Returns the value in the configuration, or one that gcloud accepts in its place."""
    return str(_CONFIG.get(variable, "https://x.example" if variable.endswith("_URL") else "x"))


def complaints(gcloud: str, listed: list[str], folder: Path) -> dict[str, str]:
    """Returns what gcloud finds wrong with commands, which it does not run, without a login."""
    file = folder / "commands.json"
    typed = [{"command_string": for_installed(gcloud, command)} for command in listed]
    file.write_text(json.dumps(typed), "utf-8")
    checked = subprocess.run(
        (gcloud, "meta", "lint-gcloud-commands", f"--commands-file={file}"),
        check=True,
        capture_output=True,
        env=os.environ | {"CLOUDSDK_CONFIG": str(folder / "gcloud")},
    )
    results = json.loads(checked.stdout)
    assert len(results) == len(listed)
    return {
        command: result["error_message"]
        for command, result in zip(listed, results, strict=True)
        if not result["success"]
    }


@pytest.mark.emulator
def test_gcloud_commands_are_valid(gcloud: str, tmp_path: Path) -> None:
    """Gcloud has every word and flag of the documents' commands, and accepts their values."""
    listed = {
        command: document.name
        for document in DOCUMENTS
        for line in lines(document)
        for command in commands(line)
    }

    wrong = complaints(gcloud, [*listed], tmp_path)

    assert len(listed) > 50
    assert {(listed[command], command, why) for command, why in wrong.items()} == set()


@pytest.mark.emulator
def test_mistakes_in_commands_are_found(gcloud: str, tmp_path: Path) -> None:
    """A misspelt flag, value or word is found anywhere in a line, and so is a missing one."""
    mistaken = [
        "gcloud pubsub subscriptions seek pendo-events-deliver --tme=2026-11-24T00:00:00Z",
        "gcloud pubsub subscriptions seek pendo-events-deliver --time=yesternight",
        "OLD=$(gcloud secrets versions acces latest --secret=x)",
        'printf %s "$NEW" | gcloud secrets versions add pendo-webhook-secrets --data=-',
        "gcloud scheduler jobs pause",
    ]
    listed = [command for line in mistaken for command in commands(line)]

    assert [*complaints(gcloud, listed, tmp_path)] == listed
    assert len(listed) == len(mistaken)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_gcloud_command_is_overlooked(document: Path) -> None:
    """As many commands are found as the word appears in the shell blocks."""
    for line in lines(document):
        assert len([*commands(line)]) == len(re.findall(r"\bgcloud\b", line)), line


def test_names_are_those_of_the_deployment() -> None:
    """A resource that a command of the runbook names is named in `deploy/config.env`."""
    named = {name for line in lines(_OPERATIONS) for name in _NAME.findall(line)} - {"pendo-aep"}

    assert named
    assert named <= set(_CONFIG.values())
    assert f"={_CONFIG['REGION']}" in _OPERATIONS.read_text("utf-8")


def test_settings_are_those_of_the_config() -> None:
    """A setting of `my.env` that the runbook mentions is in `deploy/config.env`."""
    text = _OPERATIONS.read_text("utf-8")
    known = set(re.findall(r"^(\w+)=", TEMPLATE.read_text("utf-8"), re.MULTILINE))
    # Of the commands, or secrets for deploy.sh: not in the file.
    others = {"GOOGLE_CLOUD_PROJECT", "PUBSUB_TOPIC", "PENDO_WEBHOOK_SECRETS", "AEP_CLIENT_SECRET"}
    # Statuses of gRPC, with names of the same form.
    statuses = {"PERMISSION_DENIED", "NOT_FOUND", "INVALID_ARGUMENT"}
    settings = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)(?:=\w+)?`", text)) - statuses

    assert settings
    assert settings <= known | others


SECURITY = (PROJECT / "docs" / "security.md").read_text("utf-8")
NAMED = set(re.findall(r"`(tests/[\w/]+\.py)`", SECURITY))


def test_tests_that_security_names_exist() -> None:
    """Each test that docs/security.md names exists."""
    assert NAMED
    assert [name for name in sorted(NAMED) if not (PROJECT / name).is_file()] == []


def test_security_names_every_attack() -> None:
    """docs/security.md names every file of attacks."""
    attacks = {
        str(path.relative_to(PROJECT))
        for folder in ("security", "hostile")
        for path in (PROJECT / "tests" / folder).glob("test_*.py")
    }
    ours = {"tests/hostile/test_fuzz.py"}
    assert attacks - ours - NAMED == set()


def test_every_target_was_fuzzed_for_half_an_hour() -> None:
    """Each target in docs/security.md was fuzzed for at least half an hour without a finding."""
    listed = set(re.findall(r"^\| `(\w+)` \|", SECURITY, re.MULTILINE))
    fuzzed = {
        row["target"] for row in read_results() if row["seconds"] >= 1800 and row["finding"] is None
    }
    assert listed == fuzzed == {*TARGETS}


def test_the_configuration_page_is_up_to_date() -> None:
    """If this fails, write the page again: its first line says how."""
    assert PAGE.read_text("utf-8") == page()


@pytest.mark.parametrize(
    "model", [ReceiveSettings, DrainSettings, PlatformSettings, LakeSettings, CatalogSettings]
)
def test_every_setting_is_explained(
    model: type[
        ReceiveSettings | DrainSettings | PlatformSettings | LakeSettings | CatalogSettings
    ],
) -> None:
    """Each setting of each function has one row, with a text that says what it does."""
    rows = {row.split("`")[1]: row for row in page().splitlines() if row.startswith("| `")}
    for name in model.model_fields:
        assert len(rows[name.upper()].rstrip(" |").rpartition("| ")[2]) > 10

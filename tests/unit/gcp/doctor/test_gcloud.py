"""How gcloud is run: what it is told, how long it may take, and what is made of its answer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pendo_aep.gcp.doctor.gcloud import GcloudMissing, GcloudProgram, look_at
from pendo_aep.gcp.doctor.look import Absent, Look, Seen, Unseen

COMMAND = ("pubsub", "topics", "describe", "pendo-events")
TYPED = "gcloud pubsub topics describe pendo-events --project=demo"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a shell script is found as gcloud; the test writes what it does."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    path = tmp_path / "gcloud"
    path.touch(0o755)
    return path


def says(program: Path, script: str) -> None:
    """Has gcloud be this script."""
    program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")


async def test_it_is_told_the_project_and_asks_nothing(program: Path) -> None:
    """It answers in JSON, and neither offers anything nor waits for an answer."""
    says(
        program,
        'printf \'["%s","%s","%s"]\' "$*" "$CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API" "$(cat)"',
    )

    look = await GcloudProgram("demo").look(COMMAND)

    told = "pubsub topics describe pendo-events --project=demo --format=json --quiet"
    assert look == Seen([told, "false", ""])


@pytest.mark.parametrize(
    ("script", "look"),
    [
        ("echo '{}'", Seen({})),
        ("echo oops", Unseen("gcloud did not answer in JSON", TYPED)),
        ("echo 'ERROR: NOT_FOUND' >&2; exit 1", Absent()),
        ("printf 'ERROR: \\377' >&2; exit 1", Unseen("gcloud failed: \ufffd", TYPED)),
        ("exit 1", Unseen("gcloud failed: without a word", TYPED)),
    ],
)
async def test_its_answer_is_read(script: str, look: Look, program: Path) -> None:
    """JSON is what was seen; anything else says why nothing was."""
    says(program, script)

    assert await GcloudProgram("demo").look(COMMAND) == look


async def test_it_is_ended_when_it_does_not_answer(program: Path, tmp_path: Path) -> None:
    """Its time is bounded, and nothing that it started stays."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    says(program, f"echo $$ > {tmp_path}/started; cat < {pipe}; true")

    look = await GcloudProgram("demo", seconds=3).look(COMMAND)

    assert look == Unseen("gcloud did not answer within 3 s", TYPED)
    with pytest.raises(ProcessLookupError):
        os.killpg(int((tmp_path / "started").read_text()), 0)


async def test_looks_at_the_same_are_one(program: Path, tmp_path: Path) -> None:
    """Each command is run once, however often it is wanted."""
    says(program, f"echo run >> {tmp_path}/runs; echo 1")

    looks = await look_at(GcloudProgram("demo"), [COMMAND, COMMAND])

    assert looks == {COMMAND: Seen(1)}
    assert (tmp_path / "runs").read_text() == "run\n"


def test_without_gcloud_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not on the PATH, there is nothing to run."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(GcloudMissing):
        GcloudProgram("demo")


def test_what_was_seen_is_in_no_repr() -> None:
    """A look may hold a secret."""
    assert "canary" not in repr(Seen("canary"))

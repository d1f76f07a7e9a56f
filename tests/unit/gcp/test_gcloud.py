"""How gcloud is run and what its output means, for the doctor and for the deployment."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.observe import (
    Found,
    GcloudNotInstalled,
    GcloudObserver,
    NotFound,
    Observation,
    Unavailable,
    observe_all,
    parse_failure,
)
from pendo_aep.gcp.gcloud import Gcloud, GcloudFailed, find_transient
from tests.cases import Case, rows
from tests.unit.gcp.conftest import PROJECT, FakeGcloud, Rule

_TABLES = json.loads(Path(__file__).with_name("data").joinpath("gcloud.json").read_text("utf-8"))
_TRANSIENT: list[Case] = _TABLES["transient"]
_PASSING = [case for case in _TRANSIENT if case["awaited"]]
_DEPLOY = ("functions", "deploy", "receive")
_COMMAND = ("pubsub", "topics", "describe", "pendo-events")
_TYPED = "gcloud pubsub topics describe pendo-events --project=demo"
_COMMANDS = {
    "topic": commands.topic("pendo-events"),
    "policy": commands.topic_policy("pendo-events"),
    "secret": commands.secret_value("pendo-webhook-secrets", "latest"),
    "log": commands.log_lines("e"),
}


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shell script that is found as gcloud; the test writes what it does."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    path = tmp_path / "gcloud"
    path.touch(0o755)
    return path


def write(program: Path, script: str) -> None:
    """Has gcloud run this script."""
    program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")


async def test_the_observer_gives_the_project_and_asks_nothing(program: Path) -> None:
    """It wants JSON, offers to enable nothing, and waits for no input."""
    write(
        program,
        'printf \'["%s","%s","%s"]\' "$*" "$CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API" "$(cat)"',
    )

    observed = await GcloudObserver("demo").observe(_COMMAND)

    words = "pubsub topics describe pendo-events --project=demo --format=json --quiet"
    assert observed == Found([words, "false", ""])


def test_a_change_gives_the_project_and_asks_nothing(program: Path, tmp_path: Path) -> None:
    """A secret goes to its standard input."""
    asked = f'echo "$*" "$CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API" >{tmp_path}/run'
    write(program, f"{asked}; cat >&2; exit 1")

    with pytest.raises(GcloudFailed, match="failed: a secret"):
        Gcloud("demo", lambda _: None).change(*_COMMAND, stdin=b"a secret")

    words = "pubsub topics describe pendo-events --project=demo --quiet"
    assert (tmp_path / "run").read_text() == f"{words} false\n"


@pytest.mark.parametrize(
    ("script", "observed"),
    [
        ("echo '{}'", Found({})),
        ("echo oops", Unavailable("gcloud did not answer in JSON", _TYPED)),
        ("echo 'ERROR: NOT_FOUND' >&2; exit 1", NotFound()),
        ("printf 'ERROR: \\377' >&2; exit 1", Unavailable("gcloud failed: \ufffd", _TYPED)),
        ("exit 1", Unavailable("gcloud failed: no message", _TYPED)),
    ],
)
async def test_its_output_is_read(script: str, observed: Observation, program: Path) -> None:
    """JSON is what was found; anything else says why nothing was."""
    write(program, script)

    assert await GcloudObserver("demo").observe(_COMMAND) == observed


async def test_it_is_killed_when_it_takes_too_long(program: Path, tmp_path: Path) -> None:
    """Its time is bounded, and nothing that it started remains."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    write(program, f"echo $$ > {tmp_path}/started; cat < {pipe}; true")

    observed = await GcloudObserver("demo", seconds=3).observe(_COMMAND)

    assert observed == Unavailable("gcloud did not answer within 3 s", _TYPED)
    with pytest.raises(ProcessLookupError):
        os.killpg(int((tmp_path / "started").read_text()), 0)


async def test_a_command_is_run_once(program: Path, tmp_path: Path) -> None:
    """However often it is wanted."""
    write(program, f"echo run >> {tmp_path}/runs; echo 1")

    observations = await observe_all(GcloudObserver("demo"), [_COMMAND, _COMMAND])

    assert observations == {_COMMAND: Found(1)}
    assert (tmp_path / "runs").read_text() == "run\n"


def test_without_gcloud_there_is_no_observer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it is not on the PATH, there is nothing to run."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(GcloudNotInstalled):
        GcloudObserver("demo")


def test_what_was_found_is_in_no_repr() -> None:
    """It may be a secret."""
    assert "canary" not in repr(Found("canary"))


@pytest.mark.parametrize("case", rows(_TABLES["failures"]))
def test_failures_are_told_apart(case: Case) -> None:
    """Not enabled, not allowed, not found, not logged in: each has another fix."""
    observed = parse_failure(case["stderr"], _COMMANDS[case["asked"]], "demo")

    assert observed == (Unavailable(case["why"], case["mend"]) if case["why"] else NotFound())


@pytest.mark.parametrize("case", rows(_TRANSIENT))
def test_transient_refusals_are_recognised(case: Case) -> None:
    """A refusal that passes says what is awaited; another one is final."""
    found = find_transient(case["said"])

    assert (found.awaited if found else None) == case["awaited"]


@pytest.mark.parametrize("case", rows(_PASSING))
def test_a_command_is_repeated_while_it_is_refused(case: Case, fake: FakeGcloud) -> None:
    """What is awaited is reported once, and the change counts as one."""
    fake.answer(Rule("deploy receive", err=case["said"], times=2))

    fake.gcloud.change(*_DEPLOY)

    typed = f"gcloud functions deploy receive --project={PROJECT}"
    waiting = f". waiting until {case['awaited']}, at most 15 minutes: {typed}"
    assert fake.said == [f"+ {typed}", waiting]
    assert fake.asked == [[*_DEPLOY]] * 3
    assert fake.gcloud.changes == 1


def test_several_refusals_are_awaited_one_after_another(fake: FakeGcloud) -> None:
    """Each is reported: a first deployment often meets more than one."""
    fake.answer(*(Rule("deploy receive", err=case["said"], times=1) for case in _PASSING))

    fake.gcloud.change(*_DEPLOY)

    reported = [line for line in fake.said if line.startswith(". ")]
    assert len(reported) == len({case["awaited"] for case in _PASSING})


def test_after_a_quarter_of_an_hour_it_is_a_failure(fake: FakeGcloud) -> None:
    """A right that nobody grants is not awaited for ever; Google's words are shown."""
    (case,) = (case for case in _PASSING if "actAs" in case["said"] and "not exist" in case["said"])
    fake.answer(Rule("deploy receive", err=case["said"]))

    gcloud = Gcloud(PROJECT, fake.said.append, fake.retry(pause=100))

    with pytest.raises(GcloudFailed, match="actAs"):
        gcloud.change(*_DEPLOY)

    assert fake.clock.seconds == 900
    assert gcloud.changes == 0


def test_a_final_refusal_is_not_repeated(fake: FakeGcloud) -> None:
    """It fails at once."""
    fake.answer(Rule("deploy receive", err="ERROR: (gcloud) PERMISSION_DENIED: no"))

    with pytest.raises(GcloudFailed, match="PERMISSION_DENIED"):
        fake.gcloud.change(*_DEPLOY)

    assert fake.asked == [[*_DEPLOY]]
    assert fake.clock.seconds == 0


def test_deleting_waits_for_other_edits(fake: FakeGcloud) -> None:
    """Alerting policies are deleted one at a time, too."""
    (edits,) = (one["said"] for one in _TRANSIENT if "Too many concurrent edits" in one["said"])
    fake.answer(Rule("policies delete", err=edits, times=2))

    fake.gcloud.delete(("monitoring", "policies", "delete", "7"))

    assert len(fake.asked) == 3
    assert fake.gcloud.changes == 1


def test_deleting_what_never_existed_waits_for_nothing(fake: FakeGcloud) -> None:
    """An API that is disabled has nothing to delete."""
    (disabled, *_) = (one["said"] for one in _PASSING if "has not been used" in one["said"])
    fake.answer(Rule("topics delete", err=disabled))

    fake.gcloud.delete(("pubsub", "topics", "delete", "pendo-events"))

    assert len(fake.asked) == 1
    assert fake.clock.seconds == 0

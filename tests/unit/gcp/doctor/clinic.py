"""Deployments to examine: one that is well, and what becomes of it when something is changed."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pendo_aep.gcp.doctor import examination, journey, webhook
from pendo_aep.gcp.doctor.advice import of_deployment
from pendo_aep.gcp.doctor.deployment import Deployment, Values
from pendo_aep.gcp.doctor.door import Door, find_door
from pendo_aep.gcp.doctor.finding import Finding
from pendo_aep.gcp.doctor.http import Answer
from pendo_aep.gcp.doctor.look import Absent, Command, Look, Seen, Unseen
from tests.cases import Case

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet

DATA = Path(__file__).with_name("data")

# The tables of what gcloud says; the others are of what comes back over HTTP and in the log.
LOOKS = (
    "functions",
    "topics",
    "subscriptions",
    "push",
    "redelivery",
    "scheduler",
    "rights",
    "secrets",
    "dead_letters",
)

# As deploy/config.env has them.
VALUES = Values(
    events_kept=7 * 86_400,
    letters_kept=31 * 86_400,
    attempts=100,
    least_pause=10,
    longest_pause=600,
    ingress="all",
    receive_access="auto",
    regions=("europe-west1",),
)
DEPLOYMENT = Deployment(
    config="my.env",
    values=VALUES,
    project="demo",
    region="europe-west1",
    events="pendo-events",
    dead_letters="pendo-events-dead",
    kept="pendo-events-dead-kept",
    receive="receive",
    receive_account="pendo-receive",
    deliver="deliver",
    deliver_account="pendo-deliver",
    push="pendo-events-deliver",
    push_account="pendo-push",
    drain="drain",
    drain_account="pendo-drain",
    drain_subscription="pendo-events-drain",
    drain_job="pendo-drain",
    scheduler_account="pendo-scheduler",
)


_UNSEEN = Unseen("you may not look at it", "gcloud auth login")


def table(name: str) -> Any:
    """What `tests/doctor/data/NAME.json` holds."""
    return json.loads((DATA / f"{name}.json").read_text("utf-8"))


def cases(name: str) -> list[ParameterSet]:
    """The rows of a table as parameters, each called by its `case`."""
    return [pytest.param(row, id=row["case"]) for row in table(name)]


def well() -> dict[Command, Look]:
    """What gcloud says where all is well."""
    return seen(table("well"))


def seen(answers: dict[str, Any]) -> dict[Command, Look]:
    """Answers to commands, as they are looked at."""
    return {tuple(command.split()): Seen(value) for command, value in answers.items()}


def answers(url: str, secret: str, **settings: str) -> dict[str, Any]:
    """The same as data, with a `receive` that runs at this address."""
    changed: dict[str, Any] = table("well")
    held = {"payload": {"data": base64.b64encode(secret.encode()).decode()}}
    config = {"uri": url, "environmentVariables": settings}
    for command, patch in (
        ("functions describe receive --gen2 --region=europe-west1", {"serviceConfig": config}),
        ("secrets versions access latest --secret=pendo-webhook-secrets", held),
    ):
        changed[command] = _merged(changed[command], patch)
    return changed


def ill(case: Case) -> dict[Command, Look]:
    """The same, but for what the case changes: `absent`, `unseen`, or a patch of what was said.

    The patch is a JSON merge patch (RFC 7396): null takes a key away.
    """
    looks = well()
    for command, change in case["gcloud"].items():
        key = tuple(command.split())
        look = looks[key]
        if change == "absent":
            looks[key] = Absent()
        elif change == "unseen":
            looks[key] = _UNSEEN
        else:
            assert isinstance(look, Seen)
            looks[key] = Seen(_merged(look.value, change))
    return looks


class Told:
    """A gcloud that says what it was told to; the log it reads again each time."""

    def __init__(self, looks: Mapping[Command, Look], log: Sequence[dict[str, Any]] = ()) -> None:
        """Takes what to say to each command, and the lines of the functions, oldest first."""
        self._looks = looks
        self._log = log

    async def look(self, command: Command) -> Look:
        """What was told for it; of lines in the log, those that the filter names."""
        if command in self._looks:
            return self._looks[command]
        key, _, value = command[2].removeprefix("jsonPayload.").partition("=")
        lines = [line for line in self._log if line.get(key) == value.strip('"')]
        return Seen([{"jsonPayload": line} for line in reversed(lines)])


def door(*secrets: str, allows_unsigned: bool = False) -> Door:
    """The door of the deployment."""
    advice = of_deployment(DEPLOYMENT, "pendo-webhook-secrets")
    return Door("https://receive-x-ew.a.run.app", secrets, allows_unsigned, frozenset(), advice)


def judged(case: Case) -> list[Finding]:
    """What the doctor says of what gcloud says."""
    return examination.judge(DEPLOYMENT, ill(case))


def probed(case: Case) -> Finding:
    """What the doctor says of the answer to a ping."""
    answer = Answer(case["status"], case["body"], why="TimeoutError")
    at = door(allows_unsigned=case["allowsUnsigned"])
    return webhook.judge(webhook.Probe[case["probe"]], answer, at)


def stored(case: Case) -> Finding:
    """What the doctor says of the answer to the test event."""
    return journey.stored(Answer(case["status"], case["body"], why="TimeoutError"), door())


def followed(case: Case) -> Finding | None:
    """What the doctor says of the log."""
    entries = case["entries"]
    look = _UNSEEN if entries == "unseen" else Seen(entries)
    header = Seen(case["header"]) if "header" in case else None
    return journey.judge(DEPLOYMENT, "test-1", look, header, is_over=case["isOver"])


def found(case: Case) -> Door | Finding:
    """The door, or what the doctor says where there is none."""
    return asyncio.run(find_door(DEPLOYMENT, looks := ill(case), Told(looks)))


def _merged(value: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for name, change in patch.items():
        if change is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), change)
    return merged

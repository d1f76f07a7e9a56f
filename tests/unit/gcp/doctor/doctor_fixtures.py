"""A healthy deployment as gcloud shows it, and the changes that the tables of `data` make to it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pendo_aep.gcp.doctor.deployment import Deployment, Reconcile, Values
from pendo_aep.gcp.doctor.observe import Found, NotFound, Observation, Unavailable
from pendo_aep.gcp.gcloud import Command
from tests.cases import Case

DATA = Path(__file__).with_name("data")

# As deploy/config.env has them.
VALUES = Values(
    events_retention=7 * 86_400,
    dead_letters_retention=31 * 86_400,
    max_delivery_attempts=100,
    min_retry_seconds=10,
    max_retry_seconds=600,
    ingress="all",
    receive_access="auto",
    message_regions=("europe-west1",),
)
DEPLOYMENT = Deployment(
    config="my.env",
    values=VALUES,
    project="demo",
    region="europe-west1",
    events_topic="pendo-events",
    dead_letter_topic="pendo-events-dead",
    dead_letter_subscription="pendo-events-dead-kept",
    receive="receive",
    receive_account="pendo-receive",
    deliver="deliver",
    deliver_account="pendo-deliver",
    push_subscription="pendo-events-deliver",
    push_account="pendo-push",
    drain="drain",
    drain_account="pendo-drain",
    drain_subscription="pendo-events-drain",
    drain_job="pendo-drain",
    scheduler_account="pendo-scheduler",
)
RECONCILE = Reconcile(
    job="pendo-reconcile",
    account="pendo-reconcile",
    role="pendoReconcile",
    secret="aep-reconcile-secret",
    caller="pendo-scheduler",
)
UNAVAILABLE = Unavailable("you may not look at it", "gcloud auth login")


def table(name: str) -> Any:
    """Returns the content of `data/NAME.json`."""
    return json.loads((DATA / f"{name}.json").read_text("utf-8"))


def healthy() -> dict[Command, Observation]:
    """Returns the observations of a healthy deployment."""
    return as_found(table("healthy"))


def as_found(output: Mapping[str, Any]) -> dict[Command, Observation]:
    """Returns the output of commands as observations."""
    return {tuple(command.split()): Found(value) for command, value in output.items()}


def healthy_output(url: str, secret: str, **settings: str) -> dict[str, Any]:
    """Returns the output for a healthy deployment whose `receive` runs at this address."""
    output: dict[str, Any] = table("healthy")
    accessed = {"payload": {"data": base64.b64encode(secret.encode()).decode()}}
    config = {"uri": url, "environmentVariables": settings}
    for command, patch in (
        ("functions describe receive --gen2 --region=europe-west1", {"serviceConfig": config}),
        ("secrets versions access latest --secret=pendo-webhook-secrets", accessed),
    ):
        output[command] = _merged(output[command], patch)
    return output


def changed(case: Case) -> dict[Command, Observation]:
    """Returns the healthy observations with the changes of a case.

    A change is `not found`, `unavailable`, or a JSON merge patch (RFC 7396), in which null removes
    a key.
    """
    observations = healthy()
    for words, change in case["gcloud"].items():
        command = tuple(words.split())
        observed = observations[command]
        if change == "not found":
            observations[command] = NotFound()
        elif change == "unavailable":
            observations[command] = UNAVAILABLE
        else:
            assert isinstance(observed, Found)
            observations[command] = Found(_merged(observed.value, change))
    return observations


class FakeObserver:
    """Shows given observations, and reads the log again each time."""

    def __init__(
        self, observations: Mapping[Command, Observation], log: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Takes what each command shows, and the log lines of the functions, oldest first."""
        self._observations = observations
        self._log = log

    async def observe(self, command: Command) -> Observation:
        """Returns what was given for a command, or the log lines that its filter names."""
        if command in self._observations:
            return self._observations[command]
        key, _, value = command[2].removeprefix("jsonPayload.").partition("=")
        lines = [line for line in self._log if line.get(key) == value.strip('"')]
        return Found([{"jsonPayload": line} for line in reversed(lines)])


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

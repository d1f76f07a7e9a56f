"""The secrets: those that the functions mount, each with a version that can be read."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, wrong
from pendo_aep.gcp.doctor.functions import kinds
from pendo_aep.gcp.doctor.look import Command, Look, Looks, Seen, not_seen
from pendo_aep.gcp.doctor.mounts import Mounted, mounted
from pendo_aep.gcp.doctor.values import within


def webhook_secret(deployment: Deployment, looks: Looks) -> Mounted | None:
    """What `receive` verifies signatures with."""
    look = looks[commands.function(deployment, deployment.receive)]
    return mounted(look.value, "PENDO_WEBHOOK_SECRETS") if isinstance(look, Seen) else None


def read_secret(accessed: Any) -> list[str]:
    """The secrets in what `gcloud secrets versions access` answers in JSON."""
    data = str(within(accessed, "payload", "data") or "")
    return base64.urlsafe_b64decode(data).decode("utf-8", "replace").split()


def needed_secrets(deployment: Deployment, looks: Looks) -> list[tuple[str, str, str]]:
    """Each secret with the account that reads it and the function that it is for."""
    return [(item.secret, account, name) for item, account, name in _mounted(deployment, looks)]


def secret_looks(deployment: Deployment, looks: Looks) -> list[Command]:
    """What to look at once the functions are known."""
    return [
        command
        for item, _, _ in _mounted(deployment, looks)
        for command in (commands.secret_versions(item.secret), commands.secret_policy(item.secret))
    ]


def check_secrets(deployment: Deployment, looks: Looks) -> Iterator[Finding]:
    """Each once, however many functions have it."""
    items = [item for item, _, _ in _mounted(deployment, looks)]
    yield from dict.fromkeys(
        _check(deployment, item, looks[commands.secret_versions(item.secret)]) for item in items
    )


def _mounted(deployment: Deployment, looks: Looks) -> list[tuple[Mounted, str, str]]:
    return [
        (item, kind.account, kind.name)
        for kind in kinds(deployment)
        if isinstance(look := looks[commands.function(deployment, kind.name)], Seen)
        for name in kind.model.secrets
        if (item := mounted(look.value, name))
    ]


def _check(deployment: Deployment, item: Mounted, look: Look) -> Finding:
    what = f"secret {item.secret}"
    if not isinstance(look, Seen):
        return not_seen(Subject.SECRETS, what, look, deployment.deploy)
    states = {
        str(version.get("name", "")).rpartition("/")[2]: within(version, "state")
        for version in look.value
    }
    add = (
        f"gcloud secrets versions add {item.secret} --data-file=FILE --project={deployment.project}"
    )
    if not states:
        return wrong(Subject.SECRETS, f"{what} has no version", add)
    # Google: `latest` is the newest one, also where that is disabled.
    number = max(states, key=int) if item.version == "latest" else item.version
    state = states.get(number, "not there")
    if state == "DISABLED":
        return wrong(
            Subject.SECRETS,
            f"{what}: version {number}, which the functions read, is disabled",
            f"gcloud secrets versions enable {number} --secret={item.secret} "
            f"--project={deployment.project}",
        )
    if state != "ENABLED":
        text = f"{what}: version {number}, which the functions read, is {str(state).lower()}"
        return wrong(Subject.SECRETS, text, add)
    return ok(Subject.SECRETS, f"{what}: version {number} can be read")

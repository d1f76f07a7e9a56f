"""Checks the secrets that the functions mount: each has a version that can be read."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, wrong
from pendo_aep.gcp.doctor.functions import SecretMount, deployed_functions, find_mount
from pendo_aep.gcp.doctor.observe import (
    Found,
    Observation,
    Observations,
    not_observed,
)
from pendo_aep.gcp.gcloud import Command, field_at


def webhook_secret(deployment: Deployment, observations: Observations) -> SecretMount | None:
    """Returns the secret that `receive` verifies signatures with; None if it is not known."""
    observed = observations[commands.function(deployment, deployment.receive)]
    if not isinstance(observed, Found):
        return None
    return find_mount(observed.value, "PENDO_WEBHOOK_SECRETS")


def read_secret(accessed: Any) -> list[str]:
    """Returns the secrets in the JSON output of `gcloud secrets versions access`."""
    data = str(field_at(accessed, "payload", "data") or "")
    return base64.urlsafe_b64decode(data).decode("utf-8", "replace").split()


def needed_secrets(
    deployment: Deployment, observations: Observations
) -> list[tuple[str, str, str]]:
    """Returns each secret with the account that reads it and the function that needs it."""
    return [
        (item.secret, account, name) for item, account, name in _mounts(deployment, observations)
    ]


def secret_commands(deployment: Deployment, observations: Observations) -> list[Command]:
    """Returns what to observe once the functions are known."""
    return [
        command
        for item, _, _ in _mounts(deployment, observations)
        for command in (commands.secret_versions(item.secret), commands.secret_policy(item.secret))
    ]


def check_secrets(deployment: Deployment, observations: Observations) -> Iterator[Finding]:
    """Checks each secret once, however many functions mount it."""
    items = [item for item, _, _ in _mounts(deployment, observations)]
    yield from dict.fromkeys(
        _check_version(deployment, item, observations[commands.secret_versions(item.secret)])
        for item in items
    )


def _mounts(
    deployment: Deployment, observations: Observations
) -> list[tuple[SecretMount, str, str]]:
    return [
        (item, kind.account, kind.name)
        for kind in deployed_functions(deployment)
        if isinstance(observed := observations[commands.function(deployment, kind.name)], Found)
        for name in kind.model.secrets
        if (item := find_mount(observed.value, name))
    ]


def _check_version(deployment: Deployment, item: SecretMount, observed: Observation) -> Finding:
    what = f"secret {item.secret}"
    if not isinstance(observed, Found):
        return not_observed(Subject.SECRETS, what, observed, deployment.deploy_command)
    states = {
        str(version.get("name", "")).rpartition("/")[2]: field_at(version, "state")
        for version in observed.value
    }
    add = (
        f"gcloud secrets versions add {item.secret} --data-file=FILE --project={deployment.project}"
    )
    if not states:
        return wrong(Subject.SECRETS, f"{what} has no version", add)
    # Google: `latest` is the newest version, even if that is disabled.
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

"""The secrets of a function: as files, which follow a rotation, and not in its plain settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, wrong
from pendo_aep.gcp.doctor.values import within

_SOMETHING = "mounted"  # what stands for a secret that is there


@dataclass(frozen=True, slots=True, order=True)
class Mounted:
    """A version of a secret, as a function gets it."""

    secret: str
    version: str


def environment(described: Any, secrets: Sequence[str]) -> dict[str, str]:
    """The settings of a function, with something in place of each secret that it is given.

    Whether a file is really there is not asked here: `check_mounts` does.
    """
    plain = _plain(described)
    variables = dict.fromkeys(_variables(described), _SOMETHING)
    for name in secrets:
        if not (plain.get(name) or name in variables) and plain.pop(f"{name}_FILE", ""):
            plain[name] = _SOMETHING
    return plain | variables


def mounted(described: Any, secret: str) -> Mounted | None:
    """Where a setting such as `PENDO_WEBHOOK_SECRETS` comes from; None if from no secret."""
    if variable := _variables(described).get(secret):
        return variable
    return _files(described).get(_plain(described).get(f"{secret}_FILE", ""))


def check_mounts(
    deployment: Deployment, name: str, secrets: Sequence[str], described: Any
) -> Iterator[Finding]:
    """Each secret that the function is told of."""
    plain = _plain(described)
    for secret in secrets:
        if plain.get(secret):
            text = f"{name}: {secret} stands in plain text, for all who may see the function"
            yield wrong(Subject.FUNCTIONS, text, deployment.deploy)
        file = plain.get(f"{secret}_FILE", "")
        if file and file not in _files(described):
            text = f"{name}: no secret is mounted as {file}, which {secret}_FILE names"
            yield wrong(Subject.FUNCTIONS, text, deployment.deploy)
        elif file:
            yield ok(Subject.FUNCTIONS, f"{name}: {secret} is mounted as a file")
        elif secret in _variables(described):
            text = f"{name}: {secret} is a variable, which follows no rotation; mount it as a file"
            yield wrong(Subject.FUNCTIONS, text, deployment.deploy)


def _plain(described: Any) -> dict[str, str]:
    return dict(within(described, "serviceConfig", "environmentVariables") or {})


def _variables(described: Any) -> dict[str, Mounted]:
    found = within(described, "serviceConfig", "secretEnvironmentVariables") or []
    return {
        one["key"]: Mounted(one.get("secret", ""), one.get("version") or "latest") for one in found
    }


def _files(described: Any) -> dict[str, Mounted]:
    """The files that secrets are mounted as."""
    files = {}
    for volume in within(described, "serviceConfig", "secretVolumes") or []:
        secret = volume.get("secret", "")
        # Google: SecretVolume.versions, without any the latest one, under the secret's own name.
        for item in volume.get("versions") or [{"path": secret, "version": "latest"}]:
            path = f"{volume.get('mountPath', '').rstrip('/')}/{item.get('path', '').lstrip('/')}"
            files[path] = Mounted(secret, item.get("version") or "latest")
    return files

"""Checks the functions: they exist and work, with settings that their own models accept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, read_logs_command, wrong
from pendo_aep.gcp.doctor.observe import Found, Observations, not_observed
from pendo_aep.gcp.gcloud import field_at
from pendo_aep.settings import (
    DeliverSettings,
    DrainSettings,
    ReceiveSettings,
    SettingsError,
    load,
)

# Google: the default of Cloud Run.
_DEFAULT_TIMEOUT: Final = 60
# Google's API spells gcloud's `all`, which is the default, and `internal-only` like this.
_EVERYWHERE: Final = "ALLOW_ALL"
_INTERNAL: Final = "ALLOW_INTERNAL_ONLY"
_INGRESS: Final = {"all": _EVERYWHERE, "internal-only": _INTERNAL}
_PLACEHOLDER: Final = "mounted"  # stands for the value of a secret that exists
# How long `receive` may take: Pub/Sub has 8 seconds to store an event, and some more.
_RECEIVE_SECONDS: Final = 10.0

Settings: TypeAlias = ReceiveSettings | DeliverSettings | DrainSettings


@dataclass(frozen=True, slots=True, order=True)
class SecretMount:
    """A version of a secret that a function has."""

    secret: str
    version: str


@dataclass(frozen=True, slots=True)
class DeployedFunction:
    """A function as it should be deployed."""

    name: str
    model: type[Settings]
    account: str


def deployed_functions(deployment: Deployment) -> list[DeployedFunction]:
    """Returns the functions of a deployment."""
    found = [
        DeployedFunction(deployment.receive, ReceiveSettings, deployment.receive_account),
        DeployedFunction(deployment.deliver, DeliverSettings, deployment.deliver_account),
        DeployedFunction(deployment.drain, DrainSettings, deployment.drain_account),
    ]
    return [kind for kind in found if kind.name]


def function_urls(described: Any) -> list[str]:
    """Returns the addresses of a function: its service's, and the one with its name.

    Google: "Restrict network ingress for Cloud Run", Pub/Sub and Cloud Scheduler are internal "if
    they're using the default run.app URL".
    """
    found = [field_at(described, "serviceConfig", "uri")]
    if _ingress_of(described) != _INTERNAL:
        found.append(field_at(described, "url"))
    return [str(address).rstrip("/") for address in found if address]


def deliver_deadline(described: Any) -> float:
    """Returns how long `deliver` may keep a message, as it is deployed."""
    return _number(described, "deliver_deadline_seconds")


def drain_seconds(described: Any) -> float:
    """Returns how long a run of `drain` may take, as it is deployed."""
    return _number(described, "drain_seconds")


def receive_settings(described: Any) -> ReceiveSettings | None:
    """Returns the settings of `receive` as it is deployed; None if they are wrong."""
    try:
        return load(ReceiveSettings, _environment(described, ReceiveSettings.secrets))
    except SettingsError:
        return None


def check_functions(deployment: Deployment, observations: Observations) -> Iterator[Finding]:
    """Checks each function."""
    for kind in deployed_functions(deployment):
        observed = observations[commands.function(deployment, kind.name)]
        if not isinstance(observed, Found):
            what = f"function {kind.name}"
            yield not_observed(Subject.FUNCTIONS, what, observed, deployment.deploy_command)
            continue
        yield _check_state(deployment, kind, observed.value)
        yield from _check_settings(deployment, kind, observed.value)
        yield from _check_mounts(deployment, kind, observed.value)
        yield _check_account(deployment, kind, observed.value)
        yield _check_concurrency(deployment, kind, observed.value)
        yield _check_timeout(deployment, kind, observed.value)
        yield _check_ingress(deployment, kind, observed.value)


def _check_state(deployment: Deployment, kind: DeployedFunction, described: Any) -> Finding:
    state = field_at(described, "state")
    if state != "ACTIVE":
        return wrong(
            Subject.FUNCTIONS,
            f"function {kind.name} is {state or 'in no state'}, not ACTIVE: "
            f"see why, then {deployment.deploy_command}",
            read_logs_command(deployment, kind.name),
        )
    return ok(Subject.FUNCTIONS, f"function {kind.name} is active")


def _check_settings(
    deployment: Deployment, kind: DeployedFunction, described: Any
) -> Iterator[Finding]:
    try:
        settings = load(kind.model, _environment(described, kind.model.secrets))
    except SettingsError as error:
        for problem in error.problems:
            yield wrong(Subject.FUNCTIONS, f"{kind.name}: {problem}", deployment.deploy_command)
    else:
        yield ok(Subject.FUNCTIONS, f"function {kind.name} has valid settings")
        yield from _check_resource_names(deployment, kind.name, settings)


def _check_account(deployment: Deployment, kind: DeployedFunction, described: Any) -> Finding:
    found = field_at(described, "serviceConfig", "serviceAccountEmail")
    wanted = deployment.address(kind.account)
    if found != wanted:
        text = f"function {kind.name} runs as {found}, not as {wanted}"
        return wrong(Subject.FUNCTIONS, text, deployment.deploy_command)
    return ok(Subject.FUNCTIONS, f"function {kind.name} runs as {wanted}")


def _check_concurrency(deployment: Deployment, kind: DeployedFunction, described: Any) -> Finding:
    # Google: functions of the second generation, the default is 1.
    count = int(field_at(described, "serviceConfig", "maxInstanceRequestConcurrency") or 1)
    if count == 1 and kind.model is not DrainSettings:
        text = (
            f"function {kind.name} takes one request at a time: no batches form, "
            "and each request costs an instance"
        )
        return wrong(Subject.FUNCTIONS, text, deployment.deploy_command)
    return ok(Subject.FUNCTIONS, f"function {kind.name}: requests at a time: {count}")


def _check_timeout(deployment: Deployment, kind: DeployedFunction, described: Any) -> Finding:
    given = int(field_at(described, "serviceConfig", "timeoutSeconds") or _DEFAULT_TIMEOUT)
    needed = {
        ReceiveSettings: _RECEIVE_SECONDS,
        DeliverSettings: deliver_deadline(described),
        DrainSettings: drain_seconds(described),
    }[kind.model]
    if given <= needed:
        text = f"function {kind.name} is stopped after {given} s, but may need {needed:g} s"
        return wrong(Subject.FUNCTIONS, text, deployment.deploy_command)
    text = f"function {kind.name} has {given} s for what takes {needed:g} s at most"
    return ok(Subject.FUNCTIONS, text)


def _check_ingress(deployment: Deployment, kind: DeployedFunction, described: Any) -> Finding:
    found = _ingress_of(described)
    if kind.model is ReceiveSettings:
        if found != _EVERYWHERE:
            text = (
                f"function {kind.name} is not reachable from the internet ({found}): "
                "Pendo cannot call it"
            )
            return wrong(Subject.FUNCTIONS, text, deployment.deploy_command)
        return ok(Subject.FUNCTIONS, f"function {kind.name} can be reached from the internet")
    wanted = _INGRESS[deployment.values.ingress]
    if found != wanted:
        text = f"function {kind.name} can be reached as {found}, not as INGRESS says: {wanted}"
        return wrong(Subject.FUNCTIONS, text, deployment.deploy_command)
    return ok(Subject.FUNCTIONS, f"function {kind.name} can be reached as INGRESS says: {found}")


def _ingress_of(described: Any) -> str:
    return str(field_at(described, "serviceConfig", "ingressSettings") or _EVERYWHERE)


def _number(described: Any, field: str) -> float:
    """Returns a setting as it is deployed, or its default if it is not set, or no number."""
    text = field_at(described, "serviceConfig", "environmentVariables", field.upper())
    try:
        return float(text)
    except (TypeError, ValueError):
        return float(DrainSettings.model_fields[field].default)


def _environment(described: Any, secrets: Sequence[str]) -> dict[str, str]:
    """Returns the settings of a function, with a placeholder for each secret that it has.

    Whether a secret is really mounted is checked in `_check_mounts`.
    """
    plain = _variables(described)
    variables = dict.fromkeys(_secret_variables(described), _PLACEHOLDER)
    for name in secrets:
        if not (plain.get(name) or name in variables) and plain.pop(f"{name}_FILE", ""):
            plain[name] = _PLACEHOLDER
    return plain | variables


def find_mount(described: Any, secret: str) -> SecretMount | None:
    """Returns the secret of a setting such as `PENDO_WEBHOOK_SECRETS`; None if it has none."""
    if variable := _secret_variables(described).get(secret):
        return variable
    return _secret_files(described).get(_variables(described).get(f"{secret}_FILE", ""))


def _check_mounts(
    deployment: Deployment, kind: DeployedFunction, described: Any
) -> Iterator[Finding]:
    """Checks that secrets are mounted as files, which follow a rotation, and not in plain text."""
    name, plain = kind.name, _variables(described)
    for secret in kind.model.secrets:
        if plain.get(secret):
            text = f"{name}: {secret} is in plain text, for everybody who may see the function"
            yield wrong(Subject.FUNCTIONS, text, deployment.deploy_command)
        file = plain.get(f"{secret}_FILE", "")
        if file and file not in _secret_files(described):
            text = f"{name}: no secret is mounted as {file}, which {secret}_FILE names"
            yield wrong(Subject.FUNCTIONS, text, deployment.deploy_command)
        elif file:
            yield ok(Subject.FUNCTIONS, f"{name}: {secret} is mounted as a file")
        elif secret in _secret_variables(described):
            text = (
                f"{name}: {secret} is a variable, which does not follow a rotation; "
                "mount it as a file"
            )
            yield wrong(Subject.FUNCTIONS, text, deployment.deploy_command)


def _variables(described: Any) -> dict[str, str]:
    return dict(field_at(described, "serviceConfig", "environmentVariables") or {})


def _secret_variables(described: Any) -> dict[str, SecretMount]:
    found = field_at(described, "serviceConfig", "secretEnvironmentVariables") or []
    return {
        one["key"]: SecretMount(one.get("secret", ""), one.get("version") or "latest")
        for one in found
    }


def _secret_files(described: Any) -> dict[str, SecretMount]:
    """Returns the secret that is mounted as each file."""
    files = {}
    for volume in field_at(described, "serviceConfig", "secretVolumes") or []:
        secret = volume.get("secret", "")
        # Google: SecretVolume.versions, by default the latest one, under the secret's own name.
        for item in volume.get("versions") or [{"path": secret, "version": "latest"}]:
            path = f"{volume.get('mountPath', '').rstrip('/')}/{item.get('path', '').lstrip('/')}"
            files[path] = SecretMount(secret, item.get("version") or "latest")
    return files


def _check_resource_names(
    deployment: Deployment, name: str, settings: Settings
) -> Iterator[Finding]:
    """Checks that the function writes to and reads from the resources of this deployment."""
    for setting, found, wanted in _expected_names(deployment, settings):
        if found != wanted:
            text = f"{name}: {setting} is {found}, not {wanted}"
            yield wrong(Subject.FUNCTIONS, text, deployment.deploy_command)
        else:
            yield ok(Subject.FUNCTIONS, f"{name}: {setting} is {found}")


def _expected_names(deployment: Deployment, settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Yields settings with the values that they have and should have."""
    dead_letters = deployment.topic_path(deployment.dead_letter_topic)
    yield "DEAD_LETTER_TOPIC", settings.topic_path(settings.dead_letter_topic), dead_letters
    if isinstance(settings, ReceiveSettings):
        events = deployment.topic_path(deployment.events_topic)
        yield "PUBSUB_TOPIC", settings.topic_path(settings.pubsub_topic), events
    if isinstance(settings, DrainSettings):
        wanted = f"projects/{deployment.project}/subscriptions/{deployment.drain_subscription}"
        yield "DRAIN_SUBSCRIPTION", settings.subscription_path, wanted

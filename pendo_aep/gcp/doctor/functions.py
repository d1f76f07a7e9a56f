"""The functions: there, working, with settings that their own models accept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, wrong
from pendo_aep.gcp.doctor.look import Looks, Seen, not_seen
from pendo_aep.gcp.doctor.mounts import check_mounts, environment
from pendo_aep.gcp.doctor.values import within
from pendo_aep.gcp.doctor.wiring import Settings, check_wiring
from pendo_aep.settings import (
    DeliverSettings,
    DrainSettings,
    ReceiveSettings,
    SettingsError,
    load,
)

# Google: Cloud Run, where nothing is said.
_GOOGLES_TIMEOUT: Final = 60
# How Google's API spells what gcloud calls `all`, which is the default, and `internal-only`.
_EVERYWHERE: Final = "ALLOW_ALL"
_INTERNAL: Final = "ALLOW_INTERNAL_ONLY"
_INGRESS: Final = {"all": _EVERYWHERE, "internal-only": _INTERNAL}


@dataclass(frozen=True, slots=True)
class Kind:
    """One of our functions, as it should be deployed."""

    name: str
    model: type[Settings]
    account: str


def kinds(deployment: Deployment) -> list[Kind]:
    """Those that the deployment has."""
    found = [
        Kind(deployment.receive, ReceiveSettings, deployment.receive_account),
        Kind(deployment.deliver, DeliverSettings, deployment.deliver_account),
        Kind(deployment.drain, DrainSettings, deployment.drain_account),
    ]
    return [kind for kind in found if kind.name]


def addresses(described: Any) -> list[str]:
    """Where a function answers: its service's address, and the one of its name.

    Google: "Restrict network ingress for Cloud Run", Pub/Sub and Cloud Scheduler are internal "if
    they're using the default run.app URL".
    """
    found = [within(described, "serviceConfig", "uri")]
    if _ingress_of(described) != _INTERNAL:
        found.append(within(described, "url"))
    return [str(address).rstrip("/") for address in found if address]


def deadline(described: Any) -> float:
    """How long `deliver` may keep a message, as it is deployed."""
    return _number(described, "deliver_deadline_seconds")


def drain_seconds(described: Any) -> float:
    """How long one run of `drain` may take, as it is deployed."""
    return _number(described, "drain_seconds")


def receive_settings(described: Any) -> ReceiveSettings | None:
    """The settings of `receive` as it is deployed; None if they are wrong, which is told."""
    try:
        return load(ReceiveSettings, environment(described, ReceiveSettings.secrets))
    except SettingsError:
        return None


def check_functions(deployment: Deployment, looks: Looks) -> Iterator[Finding]:
    """Each of them."""
    for kind in kinds(deployment):
        look = looks[commands.function(deployment, kind.name)]
        if not isinstance(look, Seen):
            what = f"function {kind.name}"
            yield not_seen(Subject.FUNCTIONS, what, look, deployment.deploy)
            continue
        yield _state(deployment, kind, look.value)
        yield from _settings(deployment, kind, look.value)
        yield from check_mounts(deployment, kind.name, kind.model.secrets, look.value)
        yield _account(deployment, kind, look.value)
        yield _concurrency(deployment, kind, look.value)
        yield _timeout(deployment, kind, look.value)
        yield _ingress(deployment, kind, look.value)


def _state(deployment: Deployment, kind: Kind, described: Any) -> Finding:
    state = within(described, "state")
    if state != "ACTIVE":
        return wrong(
            Subject.FUNCTIONS,
            f"function {kind.name} is {state or 'in no state'}, not ACTIVE: "
            f"look why, then {deployment.deploy}",
            f"gcloud functions logs read {kind.name} --gen2 --region={deployment.region} "
            f"--limit=20 --project={deployment.project}",
        )
    return ok(Subject.FUNCTIONS, f"function {kind.name} is active")


def _settings(deployment: Deployment, kind: Kind, described: Any) -> Iterator[Finding]:
    try:
        settings = load(kind.model, environment(described, kind.model.secrets))
    except SettingsError as error:
        for problem in error.problems:
            yield wrong(Subject.FUNCTIONS, f"{kind.name}: {problem}", deployment.deploy)
    else:
        yield ok(Subject.FUNCTIONS, f"function {kind.name} has all its settings")
        yield from check_wiring(deployment, kind.name, settings)


def _account(deployment: Deployment, kind: Kind, described: Any) -> Finding:
    found = within(described, "serviceConfig", "serviceAccountEmail")
    wanted = deployment.address(kind.account)
    if found != wanted:
        text = f"function {kind.name} runs as {found}, not as {wanted}"
        return wrong(Subject.FUNCTIONS, text, deployment.deploy)
    return ok(Subject.FUNCTIONS, f"function {kind.name} runs as {wanted}")


def _concurrency(deployment: Deployment, kind: Kind, described: Any) -> Finding:
    # Google: functions of the second generation, 1 where nothing is said.
    count = int(within(described, "serviceConfig", "maxInstanceRequestConcurrency") or 1)
    if count == 1 and kind.model is not DrainSettings:
        text = (
            f"function {kind.name} takes one request at a time: no batches form, "
            "and each costs an instance"
        )
        return wrong(Subject.FUNCTIONS, text, deployment.deploy)
    return ok(Subject.FUNCTIONS, f"function {kind.name}: requests at a time: {count}")


def _timeout(deployment: Deployment, kind: Kind, described: Any) -> Finding:
    given = int(within(described, "serviceConfig", "timeoutSeconds") or _GOOGLES_TIMEOUT)
    works = {ReceiveSettings: _store, DeliverSettings: deadline, DrainSettings: drain_seconds}
    needed = works[kind.model](described)
    if given <= needed:
        text = f"function {kind.name} is ended after {given} s, but works for {needed:g} s"
        return wrong(Subject.FUNCTIONS, text, deployment.deploy)
    text = f"function {kind.name} has {given} s for what takes {needed:g} s at most"
    return ok(Subject.FUNCTIONS, text)


def _ingress(deployment: Deployment, kind: Kind, described: Any) -> Finding:
    found = _ingress_of(described)
    if kind.model is ReceiveSettings:
        if found != _EVERYWHERE:
            text = f"function {kind.name} is closed to the internet ({found}): Pendo is out there"
            return wrong(Subject.FUNCTIONS, text, deployment.deploy)
        return ok(Subject.FUNCTIONS, f"function {kind.name} can be reached from the internet")
    wanted = _INGRESS[deployment.values.ingress]
    if found != wanted:
        text = f"function {kind.name} can be reached as {found}, not as INGRESS says: {wanted}"
        return wrong(Subject.FUNCTIONS, text, deployment.deploy)
    return ok(Subject.FUNCTIONS, f"function {kind.name} can be reached as INGRESS says: {found}")


def _ingress_of(described: Any) -> str:
    return str(within(described, "serviceConfig", "ingressSettings") or _EVERYWHERE)


def _store(_described: Any) -> float:
    """How long Pub/Sub has to store an event, and some more."""
    return 10.0


def _number(described: Any, field: str) -> float:
    """A setting as it is deployed; its default where it is not set, or no number."""
    text = within(described, "serviceConfig", "environmentVariables", field.upper())
    try:
        return float(text)
    except (TypeError, ValueError):
        return float(DrainSettings.model_fields[field].default)

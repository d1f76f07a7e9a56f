"""The subscription that pushes: to `deliver`, as itself, and patiently."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, unknown, wrong
from pendo_aep.gcp.doctor.functions import addresses, deadline
from pendo_aep.gcp.doctor.gcloud_failure import as_typed
from pendo_aep.gcp.doctor.look import Looks, Seen
from pendo_aep.gcp.doctor.values import within


def check_push(deployment: Deployment, value: Any, looks: Looks) -> Iterator[Finding]:
    """What only a pushed one has."""
    deliver = looks[commands.function(deployment, deployment.deliver)]
    described = deliver.value if isinstance(deliver, Seen) else None
    yield _endpoint(deployment, value, addresses(described))
    yield _token(deployment, value, addresses(described))
    yield _wrapping(deployment, value)
    yield _ack_deadline(deployment, value, deadline(described))


def _endpoint(deployment: Deployment, value: Any, expected: list[str]) -> Finding:
    found = str(within(value, "pushConfig", "pushEndpoint") or "")
    if not expected:
        return unknown(
            Subject.SUBSCRIPTIONS,
            f"{deployment.push} pushes to {found or 'nobody'}; the address of "
            f"{deployment.deliver} is not known",
            as_typed(commands.function(deployment, deployment.deliver), deployment.project),
        )
    if found.rstrip("/") not in expected:
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"{deployment.push} pushes to {found or 'nobody'}, not to {deployment.deliver}",
            _update(deployment, f"--push-endpoint={expected[0]}", _token_flag(deployment)),
        )
    return ok(Subject.SUBSCRIPTIONS, f"{deployment.push} pushes to {deployment.deliver}")


def _token(deployment: Deployment, value: Any, expected: list[str]) -> Finding:
    token = within(value, "pushConfig", "oidcToken")
    account = deployment.address(deployment.push_account)
    found = within(token, "serviceAccountEmail")
    endpoint = within(value, "pushConfig", "pushEndpoint") or (expected or ["URL"])[0]
    again = _update(deployment, f"--push-endpoint={shlex.quote(endpoint)}", _token_flag(deployment))
    if found != account:
        whose = f"the token of {found}, not of {account}" if found else "no token"
        text = f"{deployment.push} pushes with {whose}: {deployment.deliver} is not for it"
        return wrong(Subject.SUBSCRIPTIONS, text, again)
    audience = within(token, "audience")
    # Google: Cloud Run "service-to-service", the audience is the URL of the service.
    if audience and expected and audience.rstrip("/") not in expected:
        text = f"{deployment.push} pushes with a token for {audience}, which is not the function"
        return wrong(
            Subject.SUBSCRIPTIONS, text, f"{again} --push-auth-token-audience={expected[0]}"
        )
    return ok(Subject.SUBSCRIPTIONS, f"{deployment.push} pushes as {account}")


def _wrapping(deployment: Deployment, value: Any) -> Finding:
    if within(value, "pushConfig", "noWrapper") is not None:
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"{deployment.push} pushes without the envelope, which {deployment.deliver} reads",
            _update(deployment, "--clear-push-no-wrapper-config"),
        )
    return ok(Subject.SUBSCRIPTIONS, f"{deployment.push} pushes with the envelope")


def _ack_deadline(deployment: Deployment, value: Any, least: float) -> Finding:
    given = float(within(value, "ackDeadlineSeconds") or 10)
    if given < least:
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"{deployment.push} pushes again after {given:g} s, while {deployment.deliver} may "
            f"still work for {least:g} s: events would go twice",
            deployment.deploy,
        )
    return ok(
        Subject.SUBSCRIPTIONS,
        f"{deployment.push} waits {given:g} s for an answer; it comes within {least:g} s",
    )


def _token_flag(deployment: Deployment) -> str:
    return f"--push-auth-service-account={deployment.address(deployment.push_account)}"


def _update(deployment: Deployment, *flags: str) -> str:
    return " ".join(
        (
            "gcloud pubsub subscriptions update",
            deployment.push,
            *flags,
            f"--project={deployment.project}",
        )
    )

"""Runs all checks: of a deployment on Google Cloud, or of `receive` in a process of one's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import aiohttp

from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.delivery import (
    Polling,
    check_dead_letters,
    new_event_id,
    send_test_event,
    trace_test_event,
)
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.endpoint import Endpoint, check_webhook, find_endpoint
from pendo_aep.gcp.doctor.finding import Finding, process_remediation
from pendo_aep.gcp.doctor.functions import check_functions
from pendo_aep.gcp.doctor.iam_bindings import check_iam
from pendo_aep.gcp.doctor.observe import Found, Observations, Observer, observe_all
from pendo_aep.gcp.doctor.pubsub import check_subscriptions, check_topics
from pendo_aep.gcp.doctor.reconcile import check_reconcile
from pendo_aep.gcp.doctor.scheduler import check_scheduler
from pendo_aep.gcp.doctor.secrets import check_secrets, secret_commands
from pendo_aep.gcp.gcloud import field_at
from pendo_aep.settings import ReceiveSettings, load

# Only these: a wrong setting of something else must not prevent the check.
_SETTING_NAMES: Final = (
    "PENDO_WEBHOOK_SECRETS",
    "PENDO_WEBHOOK_SECRETS_FILE",
    "PENDO_ALLOW_UNSIGNED",
    "PENDO_EVENTS",
)


@dataclass(frozen=True, slots=True)
class Tools:
    """What the checks of a deployment work with.

    Attributes:
        polling: for the test event; None sends none.
        say: is called with the progress.
    """

    observer: Observer
    session: aiohttp.ClientSession
    polling: Polling | None
    say: Callable[[str], None]


async def run_checks(deployment: Deployment, tools: Tools) -> AsyncIterator[Finding]:
    """Yields every finding of a deployment as soon as it is known."""
    tools.say("looking at the project")
    observations = await observe_deployment(deployment, tools.observer)
    for finding in check_deployment(deployment, observations):
        yield finding
    endpoint = await find_endpoint(deployment, observations, tools.observer)
    if isinstance(endpoint, Finding):
        yield endpoint
        return
    tools.say("calling receive")
    is_ok = True
    async for finding in check_webhook(tools.session, endpoint):
        is_ok = is_ok and finding.is_ok
        yield finding
    if tools.polling is None or not is_ok:
        return
    event_id = new_event_id()
    sent = await send_test_event(tools.session, endpoint, event_id)
    yield sent
    if sent.is_ok:
        yield await trace_test_event(deployment, tools.observer, event_id, tools.polling, tools.say)


async def observe_deployment(deployment: Deployment, observer: Observer) -> Observations:
    """Observes everything that has a known name, and then the secrets that the functions mount."""
    observations = await observe_all(observer, commands.initial_commands(deployment))
    return observations | await observe_all(observer, secret_commands(deployment, observations))


def check_deployment(deployment: Deployment, observations: Observations) -> list[Finding]:
    """Returns what the observations say of a deployment."""
    observed = observations[commands.project(deployment)]
    number = field_at(observed.value, "projectNumber") if isinstance(observed, Found) else ""
    deployment = replace(deployment, project_number=str(number or ""))
    return [
        *check_functions(deployment, observations),
        *check_topics(deployment, observations),
        *check_subscriptions(deployment, observations),
        *check_scheduler(deployment, observations),
        *check_reconcile(deployment, observations),
        *check_iam(deployment, observations),
        *check_secrets(deployment, observations),
        check_dead_letters(deployment, observations),
    ]


class _Settings(ReceiveSettings):
    """The settings of `receive` that matter from outside."""

    google_cloud_project: str = ""


async def check_process(
    url: str, environ: Mapping[str, str], session: aiohttp.ClientSession, *, sends_event: bool
) -> AsyncIterator[Finding]:
    """Yields every finding of a `receive` that somebody has started, without Google Cloud.

    Raises:
        SettingsError: some settings are missing or wrong.
    """
    settings = load(_Settings, {name: environ[name] for name in _SETTING_NAMES if name in environ})
    secrets = settings.pendo_webhook_secrets.read().split()
    allows_unsigned, kept_types = settings.pendo_allow_unsigned, settings.pendo_events
    endpoint = Endpoint(url, secrets, allows_unsigned, kept_types, process_remediation())
    is_ok = True
    async for finding in check_webhook(session, endpoint):
        is_ok = is_ok and finding.is_ok
        yield finding
    if sends_event and is_ok:
        yield await send_test_event(session, endpoint, new_event_id())

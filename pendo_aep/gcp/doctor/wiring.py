"""The topics and the subscription that a function is told of: those of this deployment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, wrong
from pendo_aep.settings import DeliverSettings, DrainSettings, ReceiveSettings

Settings: TypeAlias = ReceiveSettings | DeliverSettings | DrainSettings


def check_wiring(deployment: Deployment, name: str, settings: Settings) -> Iterator[Finding]:
    """Each place that the function writes to or reads from."""
    for setting, found, wanted in _places(deployment, settings):
        if found != wanted:
            text = f"{name}: {setting} is {found}, not {wanted}"
            yield wrong(Subject.FUNCTIONS, text, deployment.deploy)
        else:
            yield ok(Subject.FUNCTIONS, f"{name}: {setting} is {found}")


def _places(deployment: Deployment, settings: Settings) -> Iterator[tuple[str, str, str]]:
    """A setting, what it says, and what it should say."""
    dead_letters = deployment.topic_path(deployment.dead_letters)
    yield "DEAD_LETTER_TOPIC", settings.topic_path(settings.dead_letter_topic), dead_letters
    if isinstance(settings, ReceiveSettings):
        events = deployment.topic_path(deployment.events)
        yield "PUBSUB_TOPIC", settings.topic_path(settings.pubsub_topic), events
    if isinstance(settings, DrainSettings):
        wanted = f"projects/{deployment.project}/subscriptions/{deployment.drain_subscription}"
        yield "DRAIN_SUBSCRIPTION", settings.subscription_path, wanted

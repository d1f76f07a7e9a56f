"""The whole examination of a deployment: looks first, then the webhook, then an event's way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import aiohttp

from pendo_aep.gcp.doctor import commands, journey
from pendo_aep.gcp.doctor.dead_letters import check_dead_letters
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.door import find_door
from pendo_aep.gcp.doctor.finding import Finding
from pendo_aep.gcp.doctor.functions import check_functions
from pendo_aep.gcp.doctor.gcloud import Gcloud, look_at
from pendo_aep.gcp.doctor.journey import Patience
from pendo_aep.gcp.doctor.look import Looks, Seen
from pendo_aep.gcp.doctor.rights import check_rights
from pendo_aep.gcp.doctor.scheduler import check_scheduler
from pendo_aep.gcp.doctor.secrets import check_secrets, secret_looks
from pendo_aep.gcp.doctor.subscriptions import check_subscriptions
from pendo_aep.gcp.doctor.topics import check_topics
from pendo_aep.gcp.doctor.trial_event import new_id
from pendo_aep.gcp.doctor.values import within
from pendo_aep.gcp.doctor.webhook import check_webhook


@dataclass(frozen=True, slots=True)
class Visit:
    """What an examination works with.

    Attributes:
        patience: with the test event; None sends none.
        say: is called with how far it is.
    """

    gcloud: Gcloud
    session: aiohttp.ClientSession
    patience: Patience | None
    say: Callable[[str], None]


async def examine(deployment: Deployment, visit: Visit) -> AsyncIterator[Finding]:
    """Every finding, as soon as it is known."""
    visit.say("looking at the project")
    looks = await see(deployment, visit.gcloud)
    for finding in judge(deployment, looks):
        yield finding
    door = await find_door(deployment, looks, visit.gcloud)
    if isinstance(door, Finding):
        yield door
        return
    visit.say("knocking at receive")
    is_well = True
    async for finding in check_webhook(visit.session, door):
        is_well = is_well and finding.is_well
        yield finding
    if visit.patience is None or not is_well:
        return
    event_id = new_id()
    sent = await journey.send(visit.session, door, event_id)
    yield sent
    if sent.is_well:
        yield await journey.follow(deployment, visit.gcloud, event_id, visit.patience, visit.say)


async def see(deployment: Deployment, gcloud: Gcloud) -> Looks:
    """All looks: those by names, then those at what the functions mount."""
    looks = await look_at(gcloud, commands.first_looks(deployment))
    return looks | await look_at(gcloud, secret_looks(deployment, looks))


def judge(deployment: Deployment, looks: Looks) -> list[Finding]:
    """What the looks say."""
    look = looks[commands.project(deployment)]
    number = within(look.value, "projectNumber") if isinstance(look, Seen) else ""
    deployment = replace(deployment, project_number=str(number or ""))
    return [
        *check_functions(deployment, looks),
        *check_topics(deployment, looks),
        *check_subscriptions(deployment, looks),
        *check_scheduler(deployment, looks),
        *check_rights(deployment, looks),
        *check_secrets(deployment, looks),
        *check_dead_letters(deployment, looks),
    ]

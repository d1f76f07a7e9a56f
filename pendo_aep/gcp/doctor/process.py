"""A `receive` that somebody has started themselves, looked at without Google Cloud."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

import aiohttp

from pendo_aep.gcp.doctor import journey
from pendo_aep.gcp.doctor.advice import of_process
from pendo_aep.gcp.doctor.door import Door
from pendo_aep.gcp.doctor.finding import Finding
from pendo_aep.gcp.doctor.trial_event import new_id
from pendo_aep.gcp.doctor.webhook import check_webhook
from pendo_aep.settings import ReceiveSettings, load

# No others: a wrong setting of something else must not keep anybody from looking.
_NAMES: Final = (
    "PENDO_WEBHOOK_SECRETS",
    "PENDO_WEBHOOK_SECRETS_FILE",
    "PENDO_ALLOW_UNSIGNED",
    "PENDO_EVENTS",
)


class _Settings(ReceiveSettings):
    """Those of `receive` that can be seen from outside."""

    google_cloud_project: str = ""


async def examine_process(
    url: str, environ: Mapping[str, str], session: aiohttp.ClientSession, *, sends_event: bool
) -> AsyncIterator[Finding]:
    """Every finding, as soon as it is known.

    Raises:
        SettingsError: some settings are missing or wrong.
    """
    settings = load(_Settings, {name: environ[name] for name in _NAMES if name in environ})
    secrets = settings.pendo_webhook_secrets.read().split()
    allows_unsigned, kept_types = settings.pendo_allow_unsigned, settings.pendo_events
    door = Door(url, secrets, allows_unsigned, kept_types, of_process())
    is_well = True
    async for finding in check_webhook(session, door):
        is_well = is_well and finding.is_well
        yield finding
    if sends_event and is_well:
        yield await journey.send(session, door, new_id())

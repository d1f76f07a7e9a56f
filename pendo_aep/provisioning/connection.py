"""Reaching AEP from a terminal: the session, the token, the sandbox and the tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from pendo_aep.aep.auth import Credentials, TokenSource
from pendo_aep.http import http_connection
from pendo_aep.provisioning import registry
from pendo_aep.provisioning.client import Client
from pendo_aep.provisioning.errors import PlatformError
from pendo_aep.provisioning.patience import Patience
from pendo_aep.provisioning.sandboxes import check_sandbox
from pendo_aep.provisioning.wanted import Tenant
from pendo_aep.settings import PlatformSettings


@dataclass(frozen=True, slots=True)
class Platform:
    """AEP, for one organisation and one sandbox that the token may use."""

    client: Client
    tenant: Tenant
    session: aiohttp.ClientSession
    tokens: TokenSource


@asynccontextmanager
async def connect(settings: PlatformSettings, patience: Patience) -> AsyncIterator[Platform]:
    """AEP as the settings have it; known to answer.

    Raises:
        PlatformError: it does not, or the sandbox or the tenant is another.
    """
    credentials = Credentials(
        settings.aep_ims_url,
        settings.aep_client_id,
        settings.aep_client_secret,
        settings.aep_scopes,
    )
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        tokens = TokenSource(http_connection("IMS", lambda: session), credentials)
        client = Client(
            session,
            tokens,
            url=settings.aep_platform_url,
            api_key=settings.aep_client_id,
            ims_org_id=settings.aep_ims_org_id,
            sandbox=settings.aep_sandbox,
            patience=patience,
        )
        await check_sandbox(client)
        tenant_id = await _tenant_id(client, settings.aep_tenant_id.removeprefix("_"))
        yield Platform(client, Tenant(tenant_id, settings.aep_identity_namespace), session, tokens)


async def _tenant_id(client: Client, expected: str) -> str:
    tenant_id = await registry.tenant_id(client)
    if expected not in ("", tenant_id):
        raise PlatformError(
            f"AEP_TENANT_ID is {expected}, but the tenant of {client.ims_org_id} is {tenant_id}: "
            "is AEP_IMS_ORG_ID that of another organisation? Else leave AEP_TENANT_ID out"
        )
    return tenant_id

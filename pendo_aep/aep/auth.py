"""Adobe's access token: fetched when first needed, shared, and renewed before it expires.

Adobe: "OAuth Server-to-Server credentials", POST /ims/token/v3; `expires_in` is in seconds.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from dataclasses import dataclass
from functools import partial

import aiohttp
import orjson

from pendo_aep.http import HttpConnection, http_connection, open_session, read_response
from pendo_aep.logs import log
from pendo_aep.outcome import RetryReason
from pendo_aep.settings import DeliverSettings, Secret

_FETCH_SECONDS = 10.0
# Renewed this long before it expires, so that none expires during a request.
_MARGIN_SECONDS = 60.0
_MAX_ANSWER_BYTES = 65_536
# Close to RFC 6750, section 2.1. A line break in it would be a line break in our request.
_TOKEN = re.compile(r"[\x21-\x7e]+")


class TokenUnavailable(Exception):
    """There is no token now: IMS is out of reach, or refuses the credentials."""

    def __init__(self, reason: RetryReason) -> None:
        """Takes the retry reason of the messages that needed it."""
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Credentials:
    """What Adobe's developer console shows for a server-to-server credential."""

    ims_url: str
    client_id: str
    client_secret: Secret
    scopes: str


def read_token(body: bytes) -> tuple[str, float]:
    """Returns the token in a response of IMS, and its lifetime in seconds.

    Raises:
        ValueError: there is no token that a header could carry, or no lifetime.
    """
    try:
        answer = orjson.loads(body)
        token, seconds = answer["access_token"], float(answer["expires_in"])
    except (KeyError, TypeError, OverflowError):
        raise ValueError("no access_token with its expires_in") from None
    if not isinstance(token, str) or not _TOKEN.fullmatch(token) or not 0 < seconds < math.inf:
        raise ValueError("no access_token of one word, or no expires_in to come")
    return token, seconds


class TokenSource:
    """Provides one valid token. The first caller fetches it; the others wait for the same."""

    def __init__(self, connection: HttpConnection, credentials: Credentials) -> None:
        """Takes the connection to IMS, and the credentials."""
        self._connection = connection
        self._credentials = credentials
        self._lock = asyncio.Lock()
        self._token = ""
        self._until = 0.0

    async def token(self) -> str:
        """Returns a token that AEP has not rejected and that does not expire soon.

        Raises:
            TokenUnavailable: IMS is out of reach, or refuses the credentials.
        """
        if time.monotonic() < self._until:
            return self._token
        async with self._lock:
            if time.monotonic() >= self._until:
                await self._fetch()
            return self._token

    def reject(self, token: str) -> None:
        """Discards a token that AEP did not accept: the next caller fetches another."""
        if token == self._token:  # it may have been renewed meanwhile
            self._until = 0.0

    async def _fetch(self) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._credentials.client_id,
            "client_secret": await self._credentials.client_secret.refreshed(),
            "scope": self._credentials.scopes,
        }

        async def attempt(session: aiohttp.ClientSession, seconds: float) -> tuple[int, bytes]:
            async with session.post(
                f"{self._credentials.ims_url}/ims/token/v3",
                data=form,
                timeout=aiohttp.ClientTimeout(total=seconds),
                allow_redirects=False,
            ) as response:
                return response.status, await read_response(response, _MAX_ANSWER_BYTES)

        until = asyncio.get_running_loop().time() + _FETCH_SECONDS
        try:
            status, body = await self._connection.call(
                attempt, until=until, attempt_seconds=_FETCH_SECONDS
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log("ERROR", "token endpoint out of reach", error=type(error).__name__)
            raise TokenUnavailable(RetryReason.TOKEN_ENDPOINT) from None
        if status != 200:
            log(
                "ERROR",
                "token refused: check AEP_CLIENT_ID, AEP_CLIENT_SECRET, AEP_SCOPES",
                status=status,
            )
            raise TokenUnavailable(
                RetryReason.CREDENTIALS if 400 <= status < 429 else RetryReason.TOKEN_ENDPOINT
            )
        try:
            token, seconds = read_token(body)
        except ValueError:
            log("ERROR", "token answer cannot be read", status=status)
            raise TokenUnavailable(RetryReason.TOKEN_ENDPOINT) from None
        self._token = token
        self._until = time.monotonic() + max(seconds - _MARGIN_SECONDS, seconds / 2)


def token_source(settings: DeliverSettings) -> TokenSource | None:
    """Returns the source of tokens for an authenticated inlet; None for an open one."""
    if not settings.aep_client_id:
        return None
    credentials = Credentials(
        settings.aep_ims_url,
        settings.aep_client_id,
        settings.aep_client_secret,
        settings.aep_scopes,
    )
    return TokenSource(http_connection("IMS", partial(open_session, 1)), credentials)

"""Calls of AEP's APIs: headers, the token, patience, and refusals as exceptions.

Adobe: "Getting started with Experience Platform APIs". A call that only reads is repeated until it
succeeds or patience ends. A call that changes something is repeated only when AEP has said that it
did nothing; when nobody knows, the caller must look first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode

import aiohttp
import orjson
from yarl import URL

from pendo_aep.aep.auth import TokenSource, TokenUnavailable
from pendo_aep.http import retry_after_seconds
from pendo_aep.provisioning.errors import OutcomeUnknown, OutOfReach, PlatformError, Refused
from pendo_aep.provisioning.patience import Patience
from pendo_aep.provisioning.permission import Permission
from pendo_aep.provisioning.refusal import explain, read_problem

Query: TypeAlias = Sequence[tuple[str, str]]

_THROTTLED: Final = 429
# Adobe: "Platform troubleshooting", "Oauth token is not valid": it may have been revoked.
_NOT_VALID: Final = "401013"
_TOKEN_ADVICE: Final = {
    "credentials": "Adobe refuses the credentials: check AEP_CLIENT_ID, AEP_CLIENT_SECRET and "
    "AEP_SCOPES (Developer Console, OAuth Server-to-Server)",
    "token_endpoint": "Adobe's token endpoint gives no token: check AEP_IMS_URL, try again later",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of an API.

    Attributes:
        action: what it does, for a person, such as `create schema`.
        method: of HTTP.
        path: below the address of the platform, percent-encoded.
        needs: the permission that it takes.
        accept: the media type of the answer. Adobe's APIs answer JSON; the Schema Registry has
            media types of its own.
    """

    action: str
    method: str
    path: str
    needs: Permission | None = None
    accept: str = "application/json"


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    body: bytes
    pause: float


class Client:
    """AEP's APIs, for one organisation and one sandbox."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        tokens: TokenSource,
        *,
        url: str,
        api_key: str,
        ims_org_id: str,
        sandbox: str,
        patience: Patience,
    ) -> None:
        """Takes a session, where its tokens come from, and what every call says of itself."""
        self.sandbox = sandbox
        self.ims_org_id = ims_org_id
        self.patience = patience
        self._session = session
        self._tokens = tokens
        self._url = url
        self._headers = {
            "x-api-key": api_key,
            "x-gw-ims-org-id": ims_org_id,
            "x-sandbox-name": sandbox,
        }

    async def read(self, operation: Operation, query: Query = (), body: object = None) -> Any:
        """Returns the JSON that a call answers which changes nothing.

        Args:
            operation: a GET, or a POST that only asks.
            query: follows the path.
            body: of a POST, sent as JSON.

        Raises:
            Refused: AEP says no.
            OutOfReach: there was no answer within the patience.
        """
        data = None if body is None else orjson.dumps(body)
        headers = {"Content-Type": "application/json"} if data else {}
        failures = 0
        while True:
            try:
                response = await self._send(operation, query, headers, data)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                why, asked = type(error).__name__, 0.0
            else:
                if not _may_pass(response.status):
                    return self._answer(operation, response)
                why, asked = f"AEP: {response.status}", response.pause
            failures += 1
            await self._pause(operation, failures, asked, why)

    async def change(
        self,
        operation: Operation,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Any:
        """What a call that changes something answers, as JSON; None where it has no body.

        Raises:
            Refused: AEP says no; nothing has changed.
            OutOfReach: AEP throttles for too long, or there is no token; nothing has changed.
            OutcomeUnknown: there was no answer, or that of a server in trouble.
        """
        data = None if body is None else orjson.dumps(body)
        sent = {**(headers or {}), **({"Content-Type": content_type} if data else {})}
        failures = 0
        while True:
            try:
                response = await self._send(operation, (), sent, data)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise OutcomeUnknown(_unknown(operation, type(error).__name__)) from None
            if response.status != _THROTTLED:
                break
            failures += 1
            await self._pause(operation, failures, response.pause, f"AEP: {response.status}")
        if _may_pass(response.status):
            why = f"AEP: {response.status}"
            raise OutcomeUnknown(_unknown(operation, why), response.pause)
        return self._answer(operation, response)

    async def _send(
        self, operation: Operation, query: Query, headers: Mapping[str, str], data: bytes | None
    ) -> _Response:
        token = await self._token()
        response = await self._once(operation, query, headers, data, token)
        if response.status == 401 and read_problem(response.body).code == _NOT_VALID:
            self._tokens.reject(token)
            token = await self._token()
            response = await self._once(operation, query, headers, data, token)
        return response

    async def _token(self) -> str:
        try:
            return await self._tokens.token()
        except TokenUnavailable as error:
            raise OutOfReach(_TOKEN_ADVICE[error.reason]) from None

    async def _once(
        self,
        operation: Operation,
        query: Query,
        headers: Mapping[str, str],
        data: bytes | None,
        token: str,
    ) -> _Response:
        address = f"{self._url}{operation.path}"
        if query:  # with %20: not every server takes a plus for a space
            address += f"?{urlencode(query, quote_via=quote)}"
        async with self._session.request(
            operation.method,
            URL(address, encoded=True),  # an id in a path is a URL itself, and stays encoded
            data=data,
            headers={
                **self._headers,
                "Accept": operation.accept,
                **headers,
                "Authorization": f"Bearer {token}",
            },
            # Adobe's OpenAPI has no Content-Type for a call without a body; aiohttp would add one.
            skip_auto_headers=["Content-Type"],
            timeout=aiohttp.ClientTimeout(total=self.patience.call_seconds),
            allow_redirects=False,  # a token goes nowhere but where the settings say
        ) as response:
            pause = retry_after_seconds(response.headers.get("Retry-After"))
            return _Response(response.status, await response.read(), pause)

    async def _pause(self, operation: Operation, failures: int, asked: float, why: str) -> None:
        if failures >= self.patience.attempts:
            raise OutOfReach(
                f"{operation.action}: no answer from AEP in {failures} tries ({why}): "
                "try again later, or check AEP_PLATFORM_URL"
            )
        if asked > self.patience.longest_seconds:
            raise OutOfReach(
                f"{operation.action}: AEP wants to be left alone for {asked:.0f} s ({why}): "
                "run the command again then"
            )
        await asyncio.sleep(self.patience.pause(failures, asked))

    def _answer(self, operation: Operation, response: _Response) -> Any:
        """The JSON of a success, whichever 2xx it is: Adobe's APIs differ in that."""
        if not 200 <= response.status < 300:
            problem = read_problem(response.body)
            text = explain(
                response.status, problem, operation.action, operation.needs, self.sandbox
            )
            raise Refused(response.status, problem.code, text)
        if not response.body:
            return None
        try:
            return orjson.loads(response.body)
        except orjson.JSONDecodeError:
            raise unexpected(operation.action, "the answer is not JSON") from None


def unexpected(action: str, what: str) -> PlatformError:
    """AEP answered in a way that this code does not know."""
    return PlatformError(
        f"{action}: {what}: is AEP_PLATFORM_URL the address of Adobe's platform APIs?"
    )


def _may_pass(status: int) -> bool:
    return status in {408, _THROTTLED} or status >= 500


def _unknown(operation: Operation, why: str) -> str:
    return (
        f"{operation.action}: no answer from AEP ({why}), so it may or may not have been done: "
        "run the command again, it looks first"
    )

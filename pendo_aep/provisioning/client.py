"""Calls AEP's APIs: headers, token, retries, and rejections as exceptions.

Adobe: "Getting started with Experience Platform APIs". A read is repeated until it succeeds or the
retry policy gives up. A write is repeated only if AEP has said that it did nothing; if the outcome
is uncertain, the caller must look first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode

import aiohttp
import orjson
from yarl import URL

from pendo_aep.aep.auth import TokenSource, TokenUnavailable
from pendo_aep.http import retry_after_seconds
from pendo_aep.provisioning.errors import (
    Permission,
    PlatformError,
    RequestRejected,
    UncertainOutcome,
    Unreachable,
    explain,
    read_problem,
)

Query: TypeAlias = Sequence[tuple[str, str]]

LONGEST_LINE: Final = 4 * 2**20
"""In bytes; AEP takes events of 1 MB, which become longer when their JSON is escaped."""
_THROTTLED: Final = 429
# Adobe: "Platform troubleshooting", "Oauth token is not valid": it may have been revoked.
_NOT_VALID: Final = "401013"
_TOKEN_ADVICE: Final = {
    "credentials": "Adobe refuses the credentials: check AEP_CLIENT_ID, AEP_CLIENT_SECRET and "
    "AEP_SCOPES (Developer Console, OAuth Server-to-Server)",
    "token_endpoint": "Adobe's token endpoint gives no token: check AEP_IMS_URL, try again later",
}


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to retry while somebody waits at a terminal.

    Attributes:
        attempts: of one call, the first included.
        initial_seconds: the first pause; each pause is twice the one before.
        max_seconds: no pause is longer, not even one that AEP asks for.
        timeout_seconds: for one answer.
    """

    attempts: int = 5
    initial_seconds: float = 0.5
    max_seconds: float = 60.0
    timeout_seconds: float = 30.0

    def pause(self, failures: int, retry_after: float = 0.0) -> float:
        """Returns the seconds to wait after so many failures, at least what AEP asked for."""
        backoff = min(self.initial_seconds * 2.0 ** (failures - 1), self.max_seconds)
        return max(backoff, retry_after)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of an API.

    Attributes:
        action: what it does, for a person, such as `create schema`.
        method: the HTTP method.
        path: below the platform's URL, percent-encoded.
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
    retry_after: float


class Client:
    """Calls AEP's APIs for one organisation and one sandbox."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        tokens: TokenSource,
        *,
        url: str,
        api_key: str,
        ims_org_id: str,
        sandbox: str,
        retry_policy: RetryPolicy,
    ) -> None:
        """Takes a session, a source of tokens, and what every call sends in its headers."""
        self.sandbox = sandbox
        self.ims_org_id = ims_org_id
        self.retry_policy = retry_policy
        self._session = session
        self._tokens = tokens
        self._url = url
        self._headers = {
            "x-api-key": api_key,
            "x-gw-ims-org-id": ims_org_id,
            "x-sandbox-name": sandbox,
        }

    async def read(self, operation: Operation, query: Query = (), body: object = None) -> Any:
        """Makes a call that changes nothing, and returns the JSON of its answer.

        Args:
            operation: a GET, or a POST that only asks.
            query: follows the path.
            body: of a POST, sent as JSON.

        Raises:
            RequestRejected: AEP rejects the call.
            Unreachable: there was no answer within the retry policy.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        return await self._call(operation, query, headers, body, is_read=True)

    async def stream_lines(
        self, operation: Operation, query: Query = (), *, longest: int = LONGEST_LINE
    ) -> AsyncGenerator[bytes, None]:
        """Yields the lines of an answer while it arrives, so that its length does not matter.

        It is repeated like a read until the first line has come. Close the iterator
        (`contextlib.aclosing`) if you leave it early.

        Args:
            operation: a GET.
            query: follows the path.
            longest: what is longer is cut off, in bytes.

        Raises:
            RequestRejected: AEP rejects the call.
            Unreachable: there was no answer within the retry policy, or it broke off.
        """
        failures = 0
        while True:
            is_begun, retry_after = False, 0.0
            try:
                response = await self._open(operation, query)
                async with response:
                    if not _is_transient(response.status):
                        if not 200 <= response.status < 300:
                            raise self._rejected(operation, response.status, await response.read())
                        async for line in _lines(response.content, longest):
                            is_begun = True
                            yield line
                        return
                    retry_after = retry_after_seconds(response.headers.get("Retry-After"))
                    cause = f"AEP: {response.status}"
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                cause = type(error).__name__
                if is_begun:
                    raise Unreachable(
                        f"{operation.action}: AEP's answer broke off ({cause}): run the command "
                        "again"
                    ) from None
            failures += 1
            await self._back_off(operation, failures, retry_after, cause)

    async def write(
        self,
        operation: Operation,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Any:
        """Makes a call that changes something; returns its JSON, None if the answer has no body.

        Raises:
            RequestRejected: AEP rejects the call; nothing has changed.
            Unreachable: AEP throttles for too long, or there is no token; nothing has changed.
            UncertainOutcome: there was no answer, or a server error.
        """
        sent = dict(headers or {})
        if body is not None:
            sent["Content-Type"] = content_type
        return await self._call(operation, (), sent, body, is_read=False)

    async def _call(
        self,
        operation: Operation,
        query: Query,
        headers: Mapping[str, str],
        body: object,
        *,
        is_read: bool,
    ) -> Any:
        data = None if body is None else orjson.dumps(body)
        failures = 0
        while True:
            status, retry_after = 0, 0.0
            try:
                response = await self._send(operation, query, headers, data)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                cause = type(error).__name__
            else:
                status, retry_after = response.status, response.retry_after
                cause = f"AEP: {status}"
                if not _is_transient(status):
                    return self._parse(operation, response)
            if not is_read and status != _THROTTLED:
                raise UncertainOutcome(
                    f"{operation.action}: no answer from AEP ({cause}), so it may or may not have "
                    "been done: run the command again, it looks first",
                    retry_after,
                )
            failures += 1
            await self._back_off(operation, failures, retry_after, cause)

    async def _back_off(
        self, operation: Operation, failures: int, retry_after: float, cause: str
    ) -> None:
        if failures >= self.retry_policy.attempts:
            raise Unreachable(
                f"{operation.action}: no answer from AEP in {failures} tries ({cause}): "
                "try again later, or check AEP_PLATFORM_URL"
            )
        if retry_after > self.retry_policy.max_seconds:
            raise Unreachable(
                f"{operation.action}: AEP asks to wait {retry_after:.0f} s ({cause}): "
                "run the command again then"
            )
        await asyncio.sleep(self.retry_policy.pause(failures, retry_after))

    async def _send(
        self, operation: Operation, query: Query, headers: Mapping[str, str], data: bytes | None
    ) -> _Response:
        token = await self._token()
        response = await self._send_once(operation, query, headers, data, token)
        if response.status == 401 and read_problem(response.body).code == _NOT_VALID:
            self._tokens.reject(token)
            token = await self._token()
            response = await self._send_once(operation, query, headers, data, token)
        return response

    async def _token(self) -> str:
        try:
            return await self._tokens.token()
        except TokenUnavailable as error:
            raise Unreachable(_TOKEN_ADVICE[error.reason]) from None

    async def _send_once(
        self,
        operation: Operation,
        query: Query,
        headers: Mapping[str, str],
        data: bytes | None,
        token: str,
    ) -> _Response:
        timeout = aiohttp.ClientTimeout(total=self.retry_policy.timeout_seconds)
        async with self._request(operation, query, headers, data, token, timeout) as response:
            retry_after = retry_after_seconds(response.headers.get("Retry-After"))
            return _Response(response.status, await response.read(), retry_after)

    async def _open(self, operation: Operation, query: Query) -> aiohttp.ClientResponse:
        """Returns the answer to a GET, whose body is still to be read."""
        seconds = self.retry_policy.timeout_seconds
        timeout = aiohttp.ClientTimeout(total=None, connect=seconds, sock_read=seconds)
        token = await self._token()
        response: aiohttp.ClientResponse
        response = await self._request(operation, query, {}, None, token, timeout)
        if response.status == 401:
            async with response:
                body = await response.read()
            if read_problem(body).code != _NOT_VALID:
                raise self._rejected(operation, response.status, body)
            self._tokens.reject(token)
            token = await self._token()
            response = await self._request(operation, query, {}, None, token, timeout)
        return response

    def _request(
        self,
        operation: Operation,
        query: Query,
        headers: Mapping[str, str],
        data: bytes | None,
        token: str,
        timeout: aiohttp.ClientTimeout,
    ) -> Any:
        """Returns aiohttp's request, which is to be awaited or entered."""
        address = f"{self._url}{operation.path}"
        if query:  # with %20: not every server takes a plus for a space
            address += f"?{urlencode(query, quote_via=quote)}"
        return self._session.request(
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
            timeout=timeout,
            allow_redirects=False,  # the token is sent only where the settings say
        )

    def _parse(self, operation: Operation, response: _Response) -> Any:
        """Returns the JSON of a success, whichever 2xx it is: Adobe's APIs differ in that."""
        if not 200 <= response.status < 300:
            raise self._rejected(operation, response.status, response.body)
        if not response.body:
            return None
        try:
            return orjson.loads(response.body)
        except orjson.JSONDecodeError:
            raise unexpected_answer(operation.action, "the answer is not JSON") from None

    def _rejected(self, operation: Operation, status: int, body: bytes) -> RequestRejected:
        problem = read_problem(body)
        text = explain(status, problem, operation.action, operation.needs, self.sandbox)
        return RequestRejected(status, problem.code, text)


async def _lines(content: aiohttp.StreamReader, longest: int) -> AsyncIterator[bytes]:
    """Yields the lines that are not empty, each cut off at `longest` bytes."""
    line = bytearray()
    async for chunk in content.iter_any():
        *ended, begun = chunk.split(b"\n")
        for part in ended:
            line += part[: longest - len(line)]
            if line.strip():
                yield bytes(line)
            line.clear()
        line += begun[: longest - len(line)]
    if line.strip():
        yield bytes(line)


def unexpected_answer(action: str, what: str) -> PlatformError:
    """Returns the error for an answer that this code does not know."""
    return PlatformError(
        f"{action}: {what}: is AEP_PLATFORM_URL the address of Adobe's platform APIs?"
    )


def _is_transient(status: int) -> bool:
    return status in {408, _THROTTLED} or status >= 500

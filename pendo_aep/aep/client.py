"""Client of AEP's streaming endpoint: posts batches or single messages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import aiohttp

from pendo_aep.aep.auth import TokenSource
from pendo_aep.aep.response import is_unauthorised
from pendo_aep.http import HttpConnection, read_response, retry_after_seconds
from pendo_aep.logs import Severity, log
from pendo_aep.outcome import RetryReason
from pendo_aep.settings import DeliverSettings

_BEFORE: Final = b'{"messages":['
_AFTER: Final = b"]}"
ENVELOPE_BYTES: Final = len(_BEFORE) + len(_AFTER)
SEPARATOR_BYTES: Final = 1

# A thousand entries with a long message each. A longer response is read as one without a body,
# an unknown outcome.
_MAX_RESPONSE_BYTES: Final = 4_000_000
# AEP answers in well under a second; after this time no response is to be expected.
_ATTEMPT_SECONDS: Final = 10.0
# A request that its messages' deadline cuts off sooner than this says nothing about AEP.
_FAIR_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Response:
    """AEP's response to one request; `retry_after` is in seconds."""

    status: int
    body: bytes
    retry_after: float = 0.0


class NoResponse(Exception):
    """The request got no readable response; AEP may have accepted the batch all the same."""

    def __init__(self, reason: RetryReason) -> None:
        """Takes the retry reason of the request's messages."""
        super().__init__(reason)
        self.reason = reason


def batch_url(endpoint: str) -> str:
    """Returns the batch URL of a streaming endpoint as AEP shows it.

    `https://HOST/collection/INLET` becomes `https://HOST/collection/batch/INLET`; a batch URL stays
    as it is. A query (AEP shows `?x-adobe-flow-id=` for the Pendo source) is kept.
    """
    return single_url(endpoint).replace("/collection/", "/collection/batch/", 1)


def single_url(endpoint: str) -> str:
    """Returns the URL for single messages of the same endpoint."""
    before, _, inlet = endpoint.partition("/collection/")
    return f"{before}/collection/{inlet.removeprefix('batch/')}"


class StreamingClient:
    """Client of one inlet (a streaming connection), with its dataflow, sandbox and token."""

    def __init__(
        self,
        connection: HttpConnection,
        *,
        endpoint: str,
        flow_id: str = "",
        sandbox: str = "",
        ims_org_id: str = "",
        tokens: TokenSource | None = None,
        is_single: bool = False,
    ) -> None:
        """Takes the endpoint as AEP shows it; without `tokens`, requests are not authenticated.

        `is_single` posts to the endpoint for single messages: one message in each request.
        """
        self._connection = connection
        self._is_single = is_single
        self._url = single_url(endpoint) if is_single else batch_url(endpoint)
        self._tokens = tokens
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if flow_id:
            self._headers["x-adobe-flow-id"] = flow_id
        if sandbox:
            self._headers["x-sandbox-name"] = sandbox
        if tokens and ims_org_id:
            # Adobe: "Authenticate and access Experience Platform APIs", beside a token.
            self._headers["x-gw-ims-org-id"] = ims_org_id

    @classmethod
    def of(
        cls, settings: DeliverSettings, connection: HttpConnection, tokens: TokenSource | None
    ) -> Self:
        """Returns the client for these settings; without `tokens`, requests have no credentials."""
        return cls(
            connection,
            endpoint=settings.aep_endpoint,
            flow_id=settings.aep_flow_id,
            sandbox=settings.aep_sandbox,
            ims_org_id=settings.aep_ims_org_id,
            tokens=tokens,
            is_single=settings.is_single,
        )

    async def post(self, messages: Sequence[bytes], until: float) -> Response:
        """Posts one batch; once more with a new token if AEP does not accept the first token.

        A batch without a response over a kept-alive connection is posted again over a new one.

        Args:
            messages: JSON objects, one or more; with commas and `ENVELOPE_BYTES` at most 1 MB.
                Exactly one for the endpoint of single messages.
            until: when to give up, in the event loop's time; ten seconds from now at the latest.

        Raises:
            NoResponse: the connection broke or was silent; AEP may have accepted the batch.
            TokenUnavailable: there is no token; AEP has not seen the batch.
        """
        if self._is_single:
            [body] = messages
        else:
            body = _BEFORE + b",".join(messages) + _AFTER
        if self._tokens is None:
            response = await self._request(body, len(messages), self._headers, until)
        else:
            token = await self._tokens.token()
            response = await self._request(body, len(messages), self._with_token(token), until)
            if is_unauthorised(response.status):
                # It may have been revoked before it expired.
                self._tokens.reject(token)
                token = await self._tokens.token()
                response = await self._request(body, len(messages), self._with_token(token), until)
        return response

    def _with_token(self, token: str) -> dict[str, str]:
        return {**self._headers, "Authorization": f"Bearer {token}"}

    async def _request(
        self, body: bytes, count: int, headers: dict[str, str], until: float
    ) -> Response:
        started = asyncio.get_running_loop().time()
        seconds_left = until - started

        async def attempt(session: aiohttp.ClientSession, seconds: float) -> Response:
            async with session.post(
                self._url,
                data=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=seconds),
                allow_redirects=False,  # the token goes only where the settings say
            ) as response:
                pause = retry_after_seconds(response.headers.get("Retry-After"))
                return Response(
                    response.status, await read_response(response, _MAX_RESPONSE_BYTES), pause
                )

        try:
            answer = await self._connection.call(
                attempt, until=until, attempt_seconds=_ATTEMPT_SECONDS
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _log_request("ERROR", "no answer from AEP", type(error).__name__, count, body, started)
            if not isinstance(error, TimeoutError):
                raise NoResponse(RetryReason.OUT_OF_REACH) from None
            is_fair = seconds_left >= _FAIR_SECONDS
            reason = RetryReason.TIMEOUT if is_fair else RetryReason.DEADLINE
            raise NoResponse(reason) from None
        severity: Severity = "INFO" if answer.status < 300 else "ERROR"
        _log_request(severity, "batch sent", answer.status, count, body, started)
        return answer


def _log_request(
    severity: Severity, message: str, status: int | str, count: int, body: bytes, started: float
) -> None:
    seconds = round(asyncio.get_running_loop().time() - started, 3)
    log(severity, message, status=status, count=count, bytes=len(body), seconds=seconds)

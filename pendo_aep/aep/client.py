"""AEP's streaming endpoint: posts batches or single messages, and returns what AEP answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import aiohttp

from pendo_aep import clock
from pendo_aep.aep.auth import TokenSource
from pendo_aep.aep.http_session import HttpConnection, read_response, retry_after_seconds
from pendo_aep.aep.response import is_unauthorised
from pendo_aep.logs import Severity, log
from pendo_aep.outcome import RetryReason
from pendo_aep.settings import DeliverSettings

_BEFORE: Final = b'{"messages":['
_AFTER: Final = b"]}"
ENVELOPE_BYTES: Final = len(_BEFORE) + len(_AFTER)
SEPARATOR_BYTES: Final = 1

# A thousand entries with a long message each; what is longer is no answer of AEP's, and read as
# one without a body: an unknown outcome.
_MAX_ANSWER_BYTES: Final = 4_000_000


# An answer comes in well under a second; what takes this long will not come any more.
_ATTEMPT_SECONDS: Final = 10.0
# Cut off sooner, by the deadline of its messages, a request says nothing of AEP.
_FAIR_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Response:
    """What AEP answered to one request; `retry_after` is in seconds."""

    status: int
    body: bytes
    retry_after: float = 0.0


class NoResponse(Exception):
    """The request got no answer that could be read; AEP may have taken the batch all the same."""

    def __init__(self, reason: RetryReason) -> None:
        """Takes what the messages of the request are returned for."""
        super().__init__(reason)
        self.reason = reason


def batch_url(endpoint: str) -> str:
    """The address for batches of a streaming endpoint as AEP shows it.

    `https://HOST/collection/INLET` becomes `https://HOST/collection/batch/INLET`; what is one
    already stays. A query (AEP shows `?x-adobe-flow-id=` for the Pendo source) is kept.
    """
    return single_url(endpoint).replace("/collection/", "/collection/batch/", 1)


def single_url(endpoint: str) -> str:
    """The address for single messages of the same endpoint."""
    before, _, inlet = endpoint.partition("/collection/")
    return f"{before}/collection/{inlet.removeprefix('batch/')}"


class StreamingClient:
    """One inlet, with its dataflow, its sandbox and, when it is authenticated, its token."""

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
        """Takes the endpoint as AEP shows it; without `tokens` the inlet is an open one.

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
        """The client as the settings want it; without `tokens` the inlet is an open one."""
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
        """Posts one batch, once; with another token and once more if AEP will not take the first.

        A batch that got no answer over a kept connection is posted once more over a new one.

        Args:
            messages: JSON objects, one or more; with commas and `ENVELOPE_BYTES` at most 1 MB.
                Exactly one for the endpoint of single messages.
            until: when to give up, in the event loop's time; ten seconds from now at the latest.

        Raises:
            NoResponse: the connection broke or was silent; AEP may have taken the batch.
            TokenUnavailable: there is no token to send it with; AEP has not seen the batch.
        """
        if self._is_single:
            [body] = messages
        else:
            body = _BEFORE + b",".join(messages) + _AFTER
        if self._tokens is None:
            answer = await self._request(body, len(messages), self._headers, until)
        else:
            token = await self._tokens.token()
            answer = await self._request(body, len(messages), self._with(token), until)
            if is_unauthorised(answer.status):
                # It may have been revoked before its time.
                self._tokens.reject(token)
                token = await self._tokens.token()
                answer = await self._request(body, len(messages), self._with(token), until)
        return answer

    def _with(self, token: str) -> dict[str, str]:
        return {**self._headers, "Authorization": f"Bearer {token}"}

    async def _request(
        self, body: bytes, count: int, headers: dict[str, str], until: float
    ) -> Response:
        started = asyncio.get_running_loop().time()
        patience = until - started

        async def attempt(session: aiohttp.ClientSession, seconds: float) -> Response:
            async with session.post(
                self._url,
                data=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=seconds),
                allow_redirects=False,  # a token goes nowhere but where the settings say
            ) as response:
                pause = retry_after_seconds(response.headers.get("Retry-After"), clock.now())
                return Response(
                    response.status, await read_response(response, _MAX_ANSWER_BYTES), pause
                )

        try:
            answer = await self._connection.call(
                attempt, until=until, attempt_seconds=_ATTEMPT_SECONDS
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _log_request("ERROR", "no answer from AEP", type(error).__name__, count, body, started)
            if not isinstance(error, TimeoutError):
                raise NoResponse(RetryReason.OUT_OF_REACH) from None
            is_fair = patience >= _FAIR_SECONDS
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

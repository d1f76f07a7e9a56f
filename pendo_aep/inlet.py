"""AEP's streaming endpoint: posts batches, and says what became of each message."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp

from pendo_aep.ims import TokenSource, TokenUnavailable
from pendo_aep.inlet_answer import is_unauthorised, may_be_one, read_answer
from pendo_aep.logs import log
from pendo_aep.outcome import Outcome, Retry

_BEFORE: Final = b'{"messages":['
_AFTER: Final = b"]}"
ENVELOPE_BYTES: Final = len(_BEFORE) + len(_AFTER)
SEPARATOR_BYTES: Final = 1

# A thousand entries with a long message each; what is longer is no answer of AEP's.
_MAX_ANSWER_BYTES: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes


class NoAnswer(Exception):
    """The request got no answer that could be read; AEP may have taken the batch all the same."""

    def __init__(self, why: str) -> None:
        """Takes a stable word for the log."""
        super().__init__(why)
        self.why = why


def batch_url(endpoint: str) -> str:
    """The address for batches of a streaming endpoint as AEP shows it.

    `https://HOST/collection/INLET` becomes `https://HOST/collection/batch/INLET`; what is one
    already stays. A query (AEP shows `?x-adobe-flow-id=` for the Pendo source) is kept.
    """
    before, _, inlet = endpoint.partition("/collection/")
    return f"{before}/collection/batch/{inlet.removeprefix('batch/')}"


class Inlet:
    """One inlet, with its dataflow, its sandbox and, when it is authenticated, its token."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        endpoint: str,
        flow_id: str = "",
        sandbox: str = "",
        tokens: TokenSource | None = None,
        timeout_seconds: float,
    ) -> None:
        """Takes the endpoint as AEP shows it; without `tokens` the inlet is an open one."""
        self._session = session
        self._url = batch_url(endpoint)
        self._tokens = tokens
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._headers = {"Content-Type": "application/json"}
        if flow_id:
            self._headers["x-adobe-flow-id"] = flow_id
        if sandbox:
            self._headers["x-sandbox-name"] = sandbox

    async def send(self, messages: Sequence[bytes]) -> list[Outcome]:
        """Posts one batch; answers the outcome of each message, in their order.

        Args:
            messages: JSON objects, one or more; with commas and `ENVELOPE_BYTES` at most 1 MB.
        """
        try:
            answer = await self._post(messages)
        except (NoAnswer, TokenUnavailable) as error:
            return [Retry(error.why)] * len(messages)
        if may_be_one(answer.status) and len(messages) > 1:
            # The whole batch was refused, perhaps for one message's sake: halves find which.
            middle = len(messages) // 2
            return [*await self.send(messages[:middle]), *await self.send(messages[middle:])]
        return read_answer(answer.status, answer.body, len(messages))

    async def _post(self, messages: Sequence[bytes]) -> _Answer:
        body = _BEFORE + b",".join(messages) + _AFTER
        if self._tokens is None:
            return await self._request(body, len(messages), self._headers)
        token = await self._tokens.token()
        answer = await self._request(body, len(messages), self._with(token))
        if is_unauthorised(answer.status):
            # Once, with a new token: it may have been revoked before its time.
            self._tokens.reject(token)
            token = await self._tokens.token()
            answer = await self._request(body, len(messages), self._with(token))
        return answer

    def _with(self, token: str) -> dict[str, str]:
        return {**self._headers, "Authorization": f"Bearer {token}"}

    async def _request(self, body: bytes, count: int, headers: dict[str, str]) -> _Answer:
        started = time.monotonic()
        try:
            async with self._session.post(
                self._url,
                data=body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,  # a token goes nowhere but where the settings say
            ) as response:
                answer = _Answer(response.status, await _read(response))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log(
                "ERROR",
                "no answer from AEP",
                error=type(error).__name__,
                count=count,
                bytes=len(body),
                seconds=round(time.monotonic() - started, 3),
            )
            raise NoAnswer(
                "timeout" if isinstance(error, TimeoutError) else "out_of_reach"
            ) from None
        log(
            "INFO" if answer.status < 400 else "ERROR",
            "batch sent",
            status=answer.status,
            count=count,
            bytes=len(body),
            seconds=round(time.monotonic() - started, 3),
        )
        return answer


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The whole body; of one that is too long nothing, which reads as an unknown outcome."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MAX_ANSWER_BYTES:
            return b""
    return bytes(body)

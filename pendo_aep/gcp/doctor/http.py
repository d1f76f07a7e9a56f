"""One POST to `receive`, and what came of it."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson

from pendo_aep.gcp.doctor.values import within

# A cold start, and the eight seconds that `receive` gives Pub/Sub.
_SECONDS: Final = 30.0
_LONGEST: Final = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; status 0 is nothing, and `why` says why."""

    status: int
    body: Any = None
    why: str = ""

    @property
    def said(self) -> str:
        """The `status` in the body, which is `pong`, `accepted`, and so on."""
        return str(within(self.body, "status") or "")


def signature(body: bytes, secret: str) -> dict[str, str]:
    """The header that Pendo signs a body with."""
    return {"X-Pendo-Signature": hmac.digest(secret.encode(), body, "sha256").hex()}


async def post(
    session: aiohttp.ClientSession, url: str, body: bytes, headers: Mapping[str, str]
) -> Answer:
    """Posts a body as it is."""
    try:
        async with session.post(
            url,
            data=body,
            headers={"Content-Type": "application/json", **headers},
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=_SECONDS),
        ) as response:
            return Answer(response.status, _json(await response.content.read(_LONGEST)))
    except TimeoutError:
        return Answer(0, why=f"no answer within {_SECONDS:.0f} s")
    except (aiohttp.ClientError, OSError) as error:
        return Answer(0, why=type(error).__name__)


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None

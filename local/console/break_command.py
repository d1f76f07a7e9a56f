"""`python -m local break`: injects a failure into a running pipeline, or ends it."""

from __future__ import annotations

import argparse
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import orjson
from rich.console import Console

_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)


class BreakFailed(Exception):
    """Nothing was changed; the text says why and what to do."""


async def break_pipeline(options: argparse.Namespace, console: Console) -> int:
    """Injects a failure, or ends one or all of them, and returns 0.

    Raises:
        BreakFailed: No console answers, or it refuses.
    """
    if options.mend:
        kind = options.fault or None
        await _post(options.console, "clear", {"kind": kind})
        text = f"Ended: {kind}." if kind else "Ended every failure."
    else:
        wanted = {"kind": options.fault, "share": options.share, "seconds": options.seconds}
        body = {name: value for name, value in wanted.items() if value is not None}
        answer = await _post(options.console, "inject", body)
        text = f"{answer['text']}, until `python -m local break {options.fault} --mend`."
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    return 0


async def _post(console_url: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    parts = urlsplit(console_url)
    origin = f"{parts.scheme}://{parts.netloc}"
    headers = {"Content-Type": "application/json", "Origin": origin}
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.post(
                f"{origin}/api/{path}", data=orjson.dumps(body), headers=headers
            ) as response,
        ):
            answer: dict[str, Any] = orjson.loads(await response.read())
            status = response.status
    except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError):
        raise BreakFailed(
            f"no console answers at {console_url}: start `python -m local`, or use --console URL"
        ) from None
    if status != 200:
        raise BreakFailed(str(answer.get("error", f"the console answered {status}")))
    return answer

"""`python -m local capture`: a webhook that the console has seen becomes a sample."""

from __future__ import annotations

import argparse
import asyncio
import re
from base64 import b64decode
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from rich.console import Console

from local.console.anonymise import Anonymiser
from local.samples import FOLDER

_NAME: Final = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)


class CaptureFailed(Exception):
    """Nothing was saved; the text says why, and what to do."""


async def capture(options: argparse.Namespace, console: Console) -> int:
    """Saves one webhook, redacted; answers 0.

    Raises:
        CaptureFailed: the name is none or taken, no console answers, or it has no such webhook.
    """
    path = _free_path(options.folder or FOLDER, options.name)
    webhook = await _newest(options.console, options.event)
    try:
        body = orjson.loads(b64decode(webhook["body"]))
    except orjson.JSONDecodeError:
        raise CaptureFailed(
            f"webhook {webhook['key']} is not JSON: nothing in it can be told from personal data"
        ) from None
    anonymiser = Anonymiser()
    redacted = anonymiser.anonymise(body)
    text = orjson.dumps(redacted, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    await asyncio.to_thread(path.write_bytes, text)
    told = (
        f"{path}: {webhook['type']}, {anonymiser.replaced} values replaced.\n"
        "Look it over before you share it: keys, and what follows type, platform, language and "
        "source, are as they came."
    )
    if webhook["type"] != "ping":  # of which nothing becomes
        told += (
            f"\nWrite by hand what must become of it, into {path.stem}.event.json and "
            f"{path.stem}.xdm.json beside it ({FOLDER.name}/README.md)."
        )
    console.print(
        told,
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return 0


def _free_path(folder: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise CaptureFailed(
            f"{name!r} is no name of a sample: lower-case words joined by _, as poll_submitted_real"
        )
    path = folder / f"{name}.json"
    if path.exists():
        raise CaptureFailed(f"{path} is there already: choose another name, or remove it")
    if not folder.is_dir():
        raise CaptureFailed(f"{folder} is no folder: make it first")
    return path


async def _newest(console_url: str, event: str) -> dict[str, Any]:
    url = console_url.rstrip("/") + "/api/webhooks"
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.get(url, params={"event": event}) as response,
        ):
            if response.status != 200:
                raise CaptureFailed(f"the console at {console_url} answered {response.status}")
            found: list[dict[str, Any]] = orjson.loads(await response.read())
    except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError):
        raise CaptureFailed(
            f"no console answers at {console_url}: start `python -m local`, or say --console URL"
        ) from None
    if not found:
        which = f"webhook of type or id {event}" if event else "webhook"
        raise CaptureFailed(f"the console has seen no {which} yet: send one, then try again")
    return found[0]

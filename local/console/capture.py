"""`python -m local capture`: saves a webhook that the console has recorded as an anonymised sample.

Everything is replaced except for what is listed here, because free text may contain anything. The
same value always gets the same replacement, so that what belongs together still does.

Kept: keys that are words; the name of the event; what kind something is (`type`, `platform`,
`language`, `source`), if it is one or two words; booleans, null and empty values; numbers up to
1,000, which are ratings and counts, but not under an ID's key; and times, in seconds or
milliseconds, under a key that says so.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import re
import secrets
import string
from base64 import b64decode
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from rich.console import Console

from local.samples import FOLDER

_NAME: Final = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)


_EVENT: Final = "event"  # at the top level
_KIND_KEY: Final = re.compile(r"(?:.*T|t)ype|platform|language|source")
_KIND: Final = re.compile(r"[A-Za-z]{1,24}(?:[_-][A-Za-z]{1,24})?")
# A key that looks like an identifier in code. Pendo's own IDs are 27 letters and digits.
_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z_]{0,23}[0-9]?")
_ID_KEY: Final = re.compile(r"(?:.*I|i)(?:d|ds|D)")
_TIME_KEY: Final = re.compile(r"(?:.*T|t)ime(?:[Ss]tamp)?|.*At|(?:.*D|d)ate")
_TIMES: Final = (1_000_000_000, 4_000_000_000)  # in seconds; times 1,000 in milliseconds
_LARGEST_KEPT: Final = 1_000
# orjson writes no integer beyond 64 bits, whatever Pendo sends.
_MOST_DIGITS: Final = 18
_ATTEMPTS: Final = 16

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://\S*", re.IGNORECASE)
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+(?:Z|[+-][0-9:]+)?)?")
_HEX: Final = re.compile(r"(?=.*[a-f])[0-9a-f]{8,}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_:.+-]+")

_HEX_DIGITS: Final = "0123456789abcdef"


class CaptureFailed(Exception):
    """Nothing was saved; the text says why and what to do."""


async def capture(options: argparse.Namespace, console: Console) -> int:
    """Saves one webhook, anonymised, and returns 0.

    Raises:
        CaptureFailed: The name is invalid or taken, no console answers, or it has no such webhook.
    """
    path = _free_path(options.folder or FOLDER, options.name)
    webhook = await _newest(options.console, options.event)
    try:
        body = orjson.loads(b64decode(webhook["body"]))
    except orjson.JSONDecodeError:
        raise CaptureFailed(
            f"webhook {webhook['key']} is not JSON, so personal data in it cannot be recognised"
        ) from None
    anonymiser = Anonymiser()
    redacted = anonymiser.anonymise(body)
    saved = orjson.dumps(redacted, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    await asyncio.to_thread(path.write_bytes, saved)
    text = (
        f"{path}: {webhook['type']}, {anonymiser.replaced} values replaced.\n"
        "Review it before you share it: keys and the values of type, platform, language and source "
        "are unchanged."
    )
    if webhook["type"] != "ping":  # which produces no event
        text += (
            f"\nWrite the expected results by hand to {path.stem}.event.json and "
            f"{path.stem}.xdm.json beside it ({FOLDER.name}/README.md)."
        )
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    return 0


def _free_path(folder: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise CaptureFailed(f"{name!r} is not a sample name: use lower-case words joined by _")
    path = folder / f"{name}.json"
    if path.exists():
        raise CaptureFailed(f"{path} already exists: choose another name or remove it")
    if not folder.is_dir():
        raise CaptureFailed(f"{folder} is not a folder: create it first")
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
            f"no console answers at {console_url}: start `python -m local`, or use --console URL"
        ) from None
    if not found:
        which = f"webhook of type or id {event}" if event else "webhook"
        raise CaptureFailed(f"the console has not recorded a {which} yet: send one, then try again")
    return found[0]


class Anonymiser:
    """Anonymises values consistently.

    Attributes:
        replaced: how many values were replaced.
    """

    def __init__(self, salt: bytes | None = None) -> None:
        """Takes a salt that makes the replacements unguessable; random by default."""
        self.replaced = 0
        self._salt = salt or secrets.token_bytes(16)

    def anonymise(self, body: Any) -> Any:
        """Returns the same structure with made-up values.

        Args:
            body: The parsed body of a webhook.
        """
        if isinstance(body, dict) and isinstance(name := body.get(_EVENT), str):
            return self._value(body, "") | {_EVENT: name}
        return self._value(body, "")

    def _value(self, value: Any, key: str) -> Any:
        """Returns a replacement depending on the key; items have the key of their list."""
        match value:
            case dict():
                return self._object(value)
            case list():
                return [self._value(item, key) for item in value]
            case str():
                return self._text(value, key)
            case int() | float() if not isinstance(value, bool):
                return self._number(value, key)
        return value

    def _object(self, value: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, inner in value.items():
            kept = _KEY.fullmatch(key) or not key
            new = key if kept else self._replacement(key, taken={*value, *made})
            made[new] = self._value(inner, key)
        return made

    def _number(self, value: float, key: str) -> float:
        if _is_time(value, key):
            return value
        if abs(value) <= _LARGEST_KEPT and not _ID_KEY.fullmatch(key):
            # More digits could be coordinates.
            return value if isinstance(value, int) else round(value, 1)
        self.replaced += 1
        digits = str(abs(int(value)))[:_MOST_DIGITS]
        others = self._like(digits, _any_of(string.digits[1:]))
        made_up = int(next(other for other in others if other != digits))
        made_up = -made_up if value < 0 else made_up
        return made_up if isinstance(value, int) else float(made_up)

    def _text(self, text: str, key: str) -> str:
        is_kind = _KIND_KEY.fullmatch(key) and _KIND.fullmatch(text)
        is_time = text.isdecimal() and _is_time(int(text[:_MOST_DIGITS]), key)
        if is_kind or is_time or not text.strip():
            return text
        return self._replacement(text)

    def _replacement(self, text: str, taken: set[str] | None = None) -> str:
        """Returns another text of the same kind that is not taken."""
        self.replaced += 1
        unwanted = (taken or set()) | {text}
        return next(made_up for made_up in self._candidates(text) if made_up not in unwanted)

    def _candidates(self, text: str) -> Iterator[str]:
        numbers = self._like(text, _any_of(string.digits), length=6)
        if _EMAIL.fullmatch(text):
            return (f"person-{number}@example.com" for number in numbers)
        if _URL.fullmatch(text):
            return (f"https://example.com/{number}" for number in numbers)
        if _MOMENT.fullmatch(text):
            return (f"20{number[:2]}-01-02{_at_midnight(text[10:])}" for number in numbers)
        if _HEX.fullmatch(text):
            return self._like(text, _any_of(_HEX_DIGITS))
        if _TOKEN.fullmatch(text) and any(map(str.isalnum, text)):
            return self._like(text, _of_the_same_class)
        return (f"text {number}" for number in numbers)

    def _like(
        self, text: str, choose: Callable[[str, int], str], *, length: int | None = None
    ) -> Iterator[str]:
        """Yields texts of the same or the given length for ever, always the same for a text."""
        pattern = text if length is None else "0" * length
        key = self._salt + text.encode("utf-8", "surrogatepass")
        for attempt in count():
            # There are few short texts, and all may be taken: then longer ones.
            longer = pattern + "0" * (attempt // _ATTEMPTS)
            noise = hashlib.shake_256(attempt.to_bytes(4, "big") + key).digest(len(longer))
            yield "".join(map(choose, longer, noise))


def _any_of(letters: str) -> Callable[[str, int], str]:
    return lambda _char, byte: letters[byte % len(letters)]


def _of_the_same_class(char: str, byte: int) -> str:
    for letters in (string.digits, string.ascii_lowercase, string.ascii_uppercase):
        if char in letters:
            return letters[byte % len(letters)]
    return char


def _is_time(value: float, key: str) -> bool:
    first, last = _TIMES
    is_in_range = first <= value <= last or first * 1000 <= value <= last * 1000
    return is_in_range and _TIME_KEY.fullmatch(key) is not None


def _at_midnight(time: str) -> str:
    return re.sub("[0-9]", "0", time)

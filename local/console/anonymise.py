"""Making a real webhook into one that can be shown: its shape stays, whom it is of goes.

What is kept is named here; everything else is replaced, for nobody can list what a free text may
hold. The same value becomes the same replacement, so that what belongs together still does.

Kept: keys that are words; the name of the event; what kind something is (`type`, `platform`,
`language`, `source`), where it is a word or two; truth, null and emptiness; numbers up to 1,000,
which are ratings and counts, but not under a key of ids; and times, in seconds or milliseconds,
under a key that says so.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final

_EVENT: Final = "event"  # at the top
_KIND_KEY: Final = re.compile(r"(?:.*T|t)ype|platform|language|source")
_KIND: Final = re.compile(r"[A-Za-z]{1,24}(?:[_-][A-Za-z]{1,24})?")
# A key that is a word of a programmer's. Pendo's own ids are 27 letters and digits.
_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z_]{0,23}[0-9]?")
_ID_KEY: Final = re.compile(r"(?:.*I|i)(?:d|ds|D)")
_TIME_KEY: Final = re.compile(r"(?:.*T|t)ime(?:[Ss]tamp)?|.*At|(?:.*D|d)ate")
_TIMES: Final = (1_000_000_000, 4_000_000_000)  # in seconds; times 1,000 in milliseconds
_LARGEST_KEPT: Final = 1_000
# JSON takes no whole number beyond 64 bits from us, whatever Pendo sends.
_MOST_DIGITS: Final = 18
_TURNS: Final = 16

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://\S*", re.IGNORECASE)
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+(?:Z|[+-][0-9:]+)?)?")
_HEX: Final = re.compile(r"(?=.*[a-f])[0-9a-f]{8,}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_:.+-]+")

_HEX_DIGITS: Final = "0123456789abcdef"


class Anonymiser:
    """Anonymises values that belong together.

    Attributes:
        replaced: how many values were.
    """

    def __init__(self, salt: bytes | None = None) -> None:
        """Takes what makes the replacements unguessable: random, if it is not given."""
        self.replaced = 0
        self._salt = salt or secrets.token_bytes(16)

    def anonymise(self, body: Any) -> Any:
        """The same structure, with made-up values.

        Args:
            body: a webhook's body, as JSON has it.
        """
        if isinstance(body, dict) and isinstance(name := body.get(_EVENT), str):
            return self._value(body, "") | {_EVENT: name}
        return self._value(body, "")

    def _value(self, value: Any, key: str) -> Any:
        """Makes a value up, as its key says what it may be; items of a list have the list's."""
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
            new = key if kept else self._different(key, taken={*value, *made})
            made[new] = self._value(inner, key)
        return made

    def _number(self, value: float, key: str) -> float:
        if _is_time(value, key):
            return value
        if abs(value) <= _LARGEST_KEPT and not _ID_KEY.fullmatch(key):
            # What is finer than that could be a place on earth.
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
        return self._different(text)

    def _different(self, text: str, taken: set[str] | None = None) -> str:
        """Another text of the same kind, which is not among those that are taken."""
        self.replaced += 1
        unwanted = (taken or set()) | {text}
        return next(made_up for made_up in self._of_its_kind(text) if made_up not in unwanted)

    def _of_its_kind(self, text: str) -> Iterator[str]:
        numbers = self._like(text, _any_of(string.digits), length=6)
        if _EMAIL.fullmatch(text):
            return (f"person-{number}@example.com" for number in numbers)
        if _URL.fullmatch(text):
            return (f"https://example.com/{number}" for number in numbers)
        if _MOMENT.fullmatch(text):
            return (f"20{number[:2]}-01-02{_midnight(text[10:])}" for number in numbers)
        if _HEX.fullmatch(text):
            return self._like(text, _any_of(_HEX_DIGITS))
        if _TOKEN.fullmatch(text) and any(map(str.isalnum, text)):
            return self._like(text, _of_the_same_class)
        return (f"text {number}" for number in numbers)

    def _like(
        self, text: str, choose: Callable[[str, int], str], *, length: int | None = None
    ) -> Iterator[str]:
        """As long as the text, or so long, and always the same for it; then others, without end."""
        pattern = text if length is None else "0" * length
        key = self._salt + text.encode("utf-8", "surrogatepass")
        for turn in count():
            # Of a short one there are few, and perhaps all are taken: a longer one then.
            longer = pattern + "0" * (turn // _TURNS)
            noise = hashlib.shake_256(turn.to_bytes(4, "big") + key).digest(len(longer))
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


def _midnight(time: str) -> str:
    return re.sub("[0-9]", "0", time)

"""Making a real webhook into one that can be shown: its shape stays, whom it is of goes.

What is kept is named here; everything else is replaced, for nobody can list what a free text may
hold. The same value becomes the same replacement, so that what belongs together still does.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from typing import Any, Final

# Values that say what kind of event this is, and nothing of whose: by their path, without indices.
_KEPT: Final = frozenset(
    {
        "event",
        "app.platform",
        "properties.language",
        "properties.nps.source",
        "properties.guideProperties.steps.type",
    }
)
# A key that is a word of a programmer's; any other may be an id, an address or a name.
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z_]{0,39}")
# A word that could be an id all the same: Pendo's ids are 27 letters and digits.
_LONGEST_WORD: Final = 24
_LARGEST_KEPT: Final = 1_000
_TIMES: Final = (1_000_000_000, 4_000_000_000)  # in seconds; times 1,000 in milliseconds

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://\S*", re.IGNORECASE)
_HEX: Final = re.compile(r"[0-9a-f]{8,}")
_DIGITS: Final = re.compile(r"-?[0-9]+")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_:.-]+")


class Anonymiser:
    """Anonymises values that belong together.

    Attributes:
        replaced: how many values were.
    """

    def __init__(self, salt: bytes | None = None) -> None:
        """Takes what makes the replacements unguessable: random, if it is not given."""
        self.replaced = 0
        self._salt = salt or secrets.token_bytes(16)

    def anonymise(self, value: Any, path: str = "") -> Any:
        """The same structure, with made-up values."""
        match value:
            case dict():
                return {
                    self._key(key): self.anonymise(inner, f"{path}.{key}" if path else key)
                    for key, inner in value.items()
                }
            case list():
                return [self.anonymise(inner, path) for inner in value]
            case bool() | None:
                return value
            case str():
                return value if path in _KEPT or not value.strip() else self._text(value)
            case int() | float():
                return self._number(value)
        raise TypeError(f"{type(value).__name__} is no JSON")

    def _key(self, key: str) -> str:
        if _WORD.fullmatch(key) and len(key) <= _LONGEST_WORD:
            return key
        return self._text(key)

    def _number(self, value: float) -> float:
        """Small ones are ratings and counts, and times say no more than the file's date."""
        first, last = _TIMES
        is_time = first <= value <= last or first * 1000 <= value <= last * 1000
        if abs(value) <= _LARGEST_KEPT or is_time:
            return value
        self.replaced += 1
        sign = -1 if value < 0 else 1
        digits = str(abs(int(value)))
        made_up = sign * int(self._like(digits, string.digits[1:]))
        return made_up if isinstance(value, int) else float(made_up)

    def _text(self, text: str) -> str:
        self.replaced += 1
        name = self._like(text, string.digits, length=6)
        if _EMAIL.fullmatch(text):
            return f"person-{name}@example.com"
        if _URL.fullmatch(text):
            return f"https://example.com/{name}"
        if _HEX.fullmatch(text):
            return self._like(text, "0123456789abcdef")
        if _DIGITS.fullmatch(text):
            sign = "-" if text.startswith("-") else ""
            return sign + self._like(text.removeprefix("-"), string.digits[1:])
        if _TOKEN.fullmatch(text):
            return self._like(text, string.ascii_letters + string.digits)
        return f"text {name}"

    def _like(self, text: str, letters: str, *, length: int | None = None) -> str:
        """As long as the text, of these letters, and always the same for it."""
        wanted = len(text) if length is None else length
        noise = hashlib.shake_256(self._salt + text.encode("utf-8", "surrogatepass"))
        return "".join(letters[byte % len(letters)] for byte in noise.digest(wanted))

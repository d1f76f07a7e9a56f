"""A secret: a value, or a mounted file that may change while the function runs.

On Cloud Run each read of a mounted secret is a lookup in Secret Manager (Google: "Configure secrets
for services"), and what `stat` shows of it is documented nowhere. So only the content tells whether
a secret has changed, and a read is treated as what it is, a network call: few of them, in a thread,
and nobody waits for one without a bound.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

POLL_SECONDS: Final = 10.0
"""How old the text of a file may become before the next request has it read again."""
LEAST_SECONDS: Final = 1.0
"""How old it must be before anything has it read again."""
# Assumed: Secret Manager answers in tens of milliseconds. Whoever waits longer gets what is known.
_READ_SECONDS: Final = 2.0


class Secret:
    """Holds a secret so that no `repr`, log line or traceback shows it.

    A file (`X_FILE`) is read again at most once a second, and never twice at the same time, no
    matter how many requests ask. Nothing runs between requests: a request starts each read.
    """

    __slots__ = ("_path", "_reading", "_started", "_text")

    def __init__(self, text: str = "", *, path: Path | None = None) -> None:
        """Takes the text itself, or the path of the file that holds it, which is read at once.

        Raises:
            OSError: the file cannot be read.
            UnicodeDecodeError: the file is not UTF-8 text.
        """
        self._path = path
        self._text = text if path is None else _content(path)
        self._started = time.monotonic()
        self._reading: asyncio.Task[None] | None = None

    def read(self) -> str:
        """The secret as it was last read, without white space around it."""
        return self._text

    def poll(self) -> None:
        """Starts reading the file again if the last read is ten seconds old; does not wait."""
        self._read_under_way(POLL_SECONDS)

    async def refreshed(self) -> str:
        """The secret as the file has it now, or had it within the last second.

        All who ask at the same time wait for the same read, and for two seconds at most. A read
        that takes longer delays nobody any more; its text is used once it is there.
        """
        if reading := self._read_under_way(LEAST_SECONDS):
            seconds = self._started + _READ_SECONDS - time.monotonic()
            await asyncio.wait([reading], timeout=seconds)
        return self._text

    def _read_under_way(self, age: float) -> asyncio.Task[None] | None:
        """The read that is under way; starts one if the last began at least `age` seconds ago."""
        if self._path is None:
            return None
        if self._reading is None or self._reading.done():
            now = time.monotonic()
            if now - self._started < age:
                return None
            self._started = now
            self._reading = asyncio.create_task(self._read_again(self._path))
        return self._reading

    async def _read_again(self, path: Path) -> None:
        try:
            text = await asyncio.to_thread(_content, path)
        except (OSError, UnicodeDecodeError):
            return  # gone, or half written: the last good text stays in use
        # An empty file is about to be written: the last good text stays in use.
        self._text = text or self._text

    def __repr__(self) -> str:
        return f"Secret({'file ' + str(self._path) if self._path else '***'})"


def _content(path: Path) -> str:
    return path.read_text("utf-8").strip()


NO_SECRET = Secret()
"""What stands where no secret is set."""

"""A secret: a value, or a mounted file that may change while the function runs."""

from __future__ import annotations

import time
from pathlib import Path

_SECONDS_BETWEEN_LOOKS = 1.0


class Secret:
    """Holds a secret so that no `repr`, log line or traceback shows it.

    A file (`X_FILE`) is looked at again at most once a second, and at once when asked for
    `fresh` text; that is how a rotated secret arrives without a new deployment.
    """

    __slots__ = ("_path", "_seen", "_text", "_until")

    def __init__(self, text: str = "", *, path: Path | None = None) -> None:
        """Takes the text itself, or the path of the file that holds it.

        Raises:
            OSError: the file cannot be read.
            UnicodeDecodeError: the file is not UTF-8 text.
        """
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._text = text
        self._until = 0.0
        if path is not None:
            self._read_again(path)

    def read(self, *, fresh: bool = False) -> str:
        """The secret as it is now, without white space around it."""
        if self._path is not None and (fresh or time.monotonic() >= self._until):
            try:
                self._read_again(self._path)
            except (OSError, UnicodeDecodeError):
                # Gone, or half written: again what was right a moment ago.
                self._until = time.monotonic() + _SECONDS_BETWEEN_LOOKS
        return self._text

    def _read_again(self, path: Path) -> None:
        status = path.stat()
        stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        if stamp != self._seen:
            # Empty is a file that is being written: what was right a moment ago still is.
            self._text = path.read_text("utf-8").strip() or self._text
            self._seen = stamp
        self._until = time.monotonic() + _SECONDS_BETWEEN_LOOKS

    def __repr__(self) -> str:
        return f"Secret({'file ' + str(self._path) if self._path else '***'})"


NO_SECRET = Secret()
"""What stands where no secret is set."""

"""The file with which `pendo-aep` finds the running pipeline, from another terminal."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PATH: Final = Path(".local/pipeline.env")


@contextmanager
def environment_file(settings: Mapping[str, str], path: Path = PATH) -> Iterator[Path | None]:
    """Writes `NAME=value` lines to a file that only its owner may read, and removes it at the end.

    Yields:
        The file; None if it cannot be written here.
    """
    text = "".join(f"{name}={value}\n" for name, value in settings.items())
    try:
        _write(path, text)
    except OSError:
        yield None
        return
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            if path.read_text() == text:  # not that of a pipeline that was started later
                path.unlink()
                path.parent.rmdir()


def _write(path: Path, text: str) -> None:
    """Replaces the file at once, so that nobody reads a half of it."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise

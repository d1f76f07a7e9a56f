"""`catalog`: writes the questions and choices of Pendo's polls into a file, for `deliver`."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from pathlib import Path
from typing import Final

import aiohttp
import orjson

from pendo_aep.cli.config_file import read_environment
from pendo_aep.cli.pendo_api import PendoApi, PollTexts, read_polls
from pendo_aep.cli.terminal import CommandFailed, complain, printable, progress, run_interruptibly
from pendo_aep.pipeline.poll_catalog import MAX_BYTES
from pendo_aep.settings import CatalogSettings, SettingsError, load

# Google: Secret Manager, "Quotas and limits", the payload of a secret.
_MAX_SECRET_BYTES: Final = 65_536


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code: 0 only if the file was written.

    Raises:
        KeyboardInterrupt: somebody stopped it, by Ctrl-C or SIGTERM; the file is as it was.
    """
    try:
        environ = read_environment(options.config)
        if options.url:
            environ["PENDO_API_URL"] = options.url
        found = _read(load(CatalogSettings, environ))
        content = encode(found)
        _write(options.output, content)
    except (SettingsError, CommandFailed) as error:
        complain(options, str(error))
        return 1
    for note in _notes(found, len(content)):
        complain(options, note)
    show = _as_json if options.json else _as_text
    sys.stdout.write(show(options.output, found, len(content)))
    return 0


def _read(settings: CatalogSettings) -> PollTexts:
    async def guides() -> PollTexts:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            api = PendoApi(session, settings.pendo_api_url, settings.pendo_integration_key.read())
            return read_polls(await api.guides(show))

    with progress(sys.stderr) as show:
        return run_interruptibly(guides())


def encode(found: PollTexts) -> bytes:
    """Returns the content of the file; the same for the same polls, whatever their order.

    Raises:
        CommandFailed: `deliver` would not use it.
    """
    if not found.polls:
        raise CommandFailed(
            "Pendo's answer has no poll, so nothing is written: does the key belong to the "
            f"subscription whose guides ask questions? ({found.skipped} skipped)"
        )
    content = orjson.dumps({"polls": found.polls}, option=orjson.OPT_SORT_KEYS)
    if len(content) > MAX_BYTES:
        raise CommandFailed(
            f"the file would have {len(content):,} bytes, and deliver uses none over "
            f"{MAX_BYTES:,}, so nothing is written: report it as a defect"
        )
    return content


def _write(output: Path, content: bytes) -> None:
    """Writes the file as a whole or not at all: a function may read it at any moment."""
    path = Path(os.path.realpath(output))  # a link stays one
    if path.exists() and not path.is_file():
        raise CommandFailed(f"{output} is not a file: give --output FILE")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise CommandFailed(f"{output} cannot be written: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)


def _notes(found: PollTexts, size: int) -> list[str]:
    notes = []
    if found.skipped:
        notes.append(
            f"{found.skipped} guides, polls or choices have a form that is not known, and were "
            "left out: please report it, see docs/pendo.md"
        )
    if size > _MAX_SECRET_BYTES:
        notes.append(
            f"the file has {size:,} bytes, and a secret of Google's at most "
            f"{_MAX_SECRET_BYTES:,}: mount it from a bucket instead, see docs/pendo.md"
        )
    return notes


def _as_text(output: Path, found: PollTexts, size: int) -> str:
    return (
        f"{printable(str(output))}: {len(found.polls)} polls with {found.choices} choices, of "
        f"{found.guides} guides; {size:,} bytes\n"
    )


def _as_json(output: Path, found: PollTexts, size: int) -> str:
    shown = {
        "file": str(output),
        "polls": len(found.polls),
        "choices": found.choices,
        "guides": found.guides,
        "skipped": found.skipped,
        "bytes": size,
    }
    return json.dumps(shown) + "\n"

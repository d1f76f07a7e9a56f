"""Poll answers in words, from the file that `pendo-aep catalog` writes.

In a webhook, an answer has the ids of its poll and of the choice, and no text (docs/pendo.md). The
file has the texts: `{"polls": {POLL_ID: {"question", "type", "choices": {CHOICE_ID: TEXT}}}}`.

It is best effort. While the file is missing, too large or broken, a WARNING says so once, and the
last good content is used; if there was none, answers are sent as they came.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, Final

import orjson

from pendo_aep.event import Event
from pendo_aep.logs import log
from pendo_aep.settings import MountedFile

MAX_BYTES: Final = 5_000_000
"""A larger file is not used: its content stays in the memory of each instance."""
# Texts change rarely, and each read of a mounted secret is a lookup in Secret Manager.
_POLL_SECONDS: Final = 60.0
_START_SECONDS: Final = 2.0


class InvalidCatalog(ValueError):
    """The content is not a catalogue of polls; the text says why."""


@dataclass(frozen=True, slots=True)
class Poll:
    """One question of a poll; a text that is not known is empty.

    Attributes:
        question: its text.
        type: as Pendo names it, such as `PickList`.
        choices: the text of each choice, by its id.
    """

    question: str
    type: str
    choices: Mapping[str, str]


def parse_catalog(content: bytes) -> dict[str, Poll]:
    """Returns the polls in a file, by id; what is not as `pendo-aep catalog` writes it is left out.

    Raises:
        InvalidCatalog: it is not a catalogue at all.
    """
    try:
        catalog = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise InvalidCatalog("is not JSON") from None
    polls = catalog.get("polls") if isinstance(catalog, dict) else None
    if not isinstance(polls, dict):
        raise InvalidCatalog("has no object 'polls'; is it written by pendo-aep catalog?")
    return {poll_id: _poll(poll) for poll_id, poll in polls.items() if isinstance(poll, dict)}


def _poll(poll: Mapping[str, Any]) -> Poll:
    choices = poll.get("choices")
    texts = choices if isinstance(choices, dict) else {}
    return Poll(
        _text(poll.get("question")),
        _text(poll.get("type")),
        {choice: text for choice, text in texts.items() if _text(text)},
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class _Content:
    """What a read found.

    Attributes:
        version: differs whenever the content does.
        polls: by id; None if the file cannot be used.
        problem: why not.
    """

    version: str
    polls: Mapping[str, Poll] | None
    problem: str = ""


class PollCatalog(MountedFile):
    """The polls of a mounted file, which is read again once it is a minute old."""

    __slots__ = ("_file", "_polls", "_version")

    def __init__(self, path: Path) -> None:
        """Reads the file."""
        super().__init__(path)
        self._file = str(path)
        self._polls: Mapping[str, Poll] = {}
        self._version = ""
        self._use(_read_in_time(path))

    def add_words(self, event: Event) -> bool:
        """Adds question, text and type to each answer whose poll is known.

        Args:
            event: changed in place.

        Returns:
            Whether anything was added.
        """
        self.poll(_POLL_SECONDS)
        answers = event.get("answers")
        if not isinstance(answers, list):  # nearly always: it is no poll
            return False
        is_changed = False
        for answer in answers:
            poll_id = answer.get("pollId") if isinstance(answer, dict) else None
            poll = self._polls.get(poll_id) if isinstance(poll_id, str) else None
            if poll is None:
                continue
            value = answer.get("value")
            if poll.question:
                answer["question"] = poll.question
                is_changed = True
            if isinstance(value, str) and (text := poll.choices.get(value)):
                answer["text"] = text
                is_changed = True
            if poll.type:
                answer["type"] = poll.type
                is_changed = True
        return is_changed

    async def _reload(self, path: Path) -> None:
        self._use(await asyncio.to_thread(_read, path, self._version))

    def _use(self, content: _Content) -> None:
        """Uses what was read, if it is new; a line says so, once for each change."""
        if content.version == self._version:
            return
        self._version = content.version
        if content.polls is None:
            log("WARNING", "poll catalogue not used", file=self._file, reason=content.problem)
        else:
            self._polls = content.polls
            log("INFO", "poll catalogue read", file=self._file, polls=len(content.polls))


def _read_in_time(path: Path) -> _Content:
    """Reads the file at the start, which must not depend on a mount that hangs."""
    found: list[_Content] = []
    reading = Thread(target=lambda: found.append(_read(path)), daemon=True)
    reading.start()
    reading.join(_START_SECONDS)
    problem = f"cannot be read within {_START_SECONDS:.0f} s"
    return found[0] if found else _Content(problem, None, problem)


def _read(path: Path, known: str = "") -> _Content:
    """Reads the file; does not parse the content whose version is known."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        return _Content(problem, None, problem)
    version = hashlib.sha256(content).hexdigest()
    if version == known:
        return _Content(version, None)
    if len(content) > MAX_BYTES:
        return _Content(version, None, f"is over {MAX_BYTES:,} bytes")
    try:
        return _Content(version, parse_catalog(content))
    except InvalidCatalog as error:
        return _Content(version, None, str(error))

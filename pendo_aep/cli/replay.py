"""Replaying dead letters: each goes back onto the events topic, and is gone once it lies there."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pendo_aep.cli.letter_box import LetterBox
from pendo_aep.cli.letters import Filter, Letter
from pendo_aep.dead_letters import InvalidWebhook
from pendo_aep.event import InvalidEvent, encode, message_attributes, read_event
from pendo_aep.pendo.normalise import normalise
from pendo_aep.pendo.signature import VerifiedBody
from pendo_aep.pendo.webhook import FieldPath, is_ping, parse
from pendo_aep.pubsub import PublishFailed, PublishRejected, Topic

# Under way at once for each pull: enough for large calls, little enough for a slow line.
_PART_BYTES: Final = 1_000_000


class StillUnreadable(Exception):
    """Today's code cannot make an event of the letter either."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is published for a letter."""

    data: bytes
    attributes: dict[str, str]


def revive(letter: Letter, redactions: Sequence[FieldPath]) -> Message:
    """The message that a letter goes back as.

    A letter of `receive` is a webhook: it is read again, by the code and the redaction of today.
    Any other is the message that `deliver` had, and goes back as it was.

    Raises:
        StillUnreadable: it would become a dead letter again at once.
    """
    try:
        if letter.stage != "receive":
            read_event(letter.data)
            return Message(letter.data, letter.original_attributes)
        # `receive` puts aside only what Pendo signed, or what the settings took unsigned.
        body = VerifiedBody(letter.data)
        webhook = parse(body, redactions)
        if is_ping(webhook):
            raise StillUnreadable("a ping")
        event = normalise(webhook, body, letter.failed_at)
        attributes = message_attributes(event, letter.attributes.get("traceparent"))
        return Message(encode(event), attributes)
    except (InvalidEvent, InvalidWebhook) as error:
        raise StillUnreadable(str(error)) from None


@dataclass(slots=True)
class Summary:
    """What one run has done.

    Attributes:
        replayed: stored on the events topic, and acknowledged; in a dry run, those that would be.
        unreadable: matched, but still cannot be read.
        left: did not match the filter.
        newer: came while this ran; letters of this very replay may be among them.
        failed: matched, but not stored, by why.
        is_complete: whether every letter was looked at.
    """

    replayed: int = 0
    unreadable: int = 0
    left: int = 0
    newer: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    is_complete: bool = False

    @property
    def kept(self) -> int:
        """Letters that stay in the box, for whatever reason."""
        return self.unreadable + self.left + self.newer + self.failed.total()

    @property
    def is_success(self) -> bool:
        """Whether all that matched was replayed."""
        return self.is_complete and not (self.unreadable or self.failed)


class Replay:
    """Handles the letters that a box hands out; what it does not acknowledge, the box gives back.

    Safe to be killed at any moment: a letter is acknowledged after its message is stored, so at
    worst an event comes twice, with the same id.
    """

    def __init__(
        self,
        box: LetterBox,
        events: Topic | None,
        wanted: Filter,
        redactions: Sequence[FieldPath],
        summary: Summary,
    ) -> None:
        """Takes the box, the topic (None: a dry run), what to replay, and where to count."""
        self.summary = summary
        self._box = box
        self._events = events
        self._wanted = wanted
        self._redactions = redactions

    async def __call__(self, letters: Sequence[Letter]) -> None:
        """Replays those of the letters that match.

        Raises:
            GoogleAPIError: an acknowledgement failed; what was stored will be replayed again.
        """
        for part in _parts(list(self._revive(letters))):
            await self._publish(part)

    def _revive(self, letters: Sequence[Letter]) -> Iterator[tuple[Letter, Message]]:
        for letter in letters:
            if letter.published_at >= self._box.opened_at:
                self.summary.newer += 1
            elif not self._wanted.matches(letter):
                self.summary.left += 1
            else:
                try:
                    yield letter, revive(letter, self._redactions)
                except StillUnreadable:
                    self.summary.unreadable += 1

    async def _publish(self, part: Sequence[tuple[Letter, Message]]) -> None:
        events = self._events
        if events is None:
            self.summary.replayed += len(part)
            return
        stored: list[Letter] = []
        failures: list[str] = []

        async def publish(letter: Letter, message: Message) -> None:
            try:
                await events.publish(message.data, message.attributes)
            except PublishFailed as error:
                failures.append(error.reason)
            except PublishRejected:
                self.summary.failed["refused"] += 1
            else:
                stored.append(letter)

        try:
            await asyncio.gather(*(publish(*one) for one in part))
        finally:  # also when interrupted: what is stored need not be replayed again
            await self._box.acknowledge(stored)
            self.summary.replayed += len(stored)
            self.summary.failed.update(failures)
        if failures and not stored:
            self._box.stop()  # the others would only fail as well


def _parts(revived: Sequence[tuple[Letter, Message]]) -> Iterator[list[tuple[Letter, Message]]]:
    part: list[tuple[Letter, Message]] = []
    size = 0
    for one in revived:
        part.append(one)
        size += len(one[1].data)
        if size >= _PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part

"""Replays dead letters: publishes each on the events topic, then acknowledges it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from pendo_aep.cli.dead_letter import DeadLetter, DeadLetterFilter
from pendo_aep.cli.dead_letter_reader import DeadLetterReader
from pendo_aep.dead_letters import InvalidWebhook
from pendo_aep.event import InvalidEvent, encode, message_attributes, read_event
from pendo_aep.lake.republish import in_parts, replay_mark
from pendo_aep.pendo.normalise import normalise
from pendo_aep.pendo.signature import VerifiedBody
from pendo_aep.pendo.webhook import FieldPath, is_ping, parse
from pendo_aep.pubsub import PublishFailed, PublishRejected, Topic


class StillUnreadable(Exception):
    """The current code cannot make an event of the dead letter either."""


class RebuiltMessage(NamedTuple):
    """What is published for a dead letter."""

    data: bytes
    attributes: dict[str, str]


_Rebuilt: TypeAlias = tuple[DeadLetter, RebuiltMessage]


def rebuild_message(letter: DeadLetter, redactions: Sequence[FieldPath]) -> RebuiltMessage:
    """Returns the message to publish for a dead letter.

    A dead letter of `receive` is a webhook: it is read again, by the current code and redaction.
    Any other is the message that `deliver` had, which is published unchanged.

    Raises:
        StillUnreadable: it would become a dead letter again at once.
    """
    try:
        if letter.stage != "receive":
            read_event(letter.data)
            return RebuiltMessage(letter.data, letter.original_attributes)
        # `receive` sets aside only what Pendo signed, or what the settings accepted unsigned.
        body = VerifiedBody(letter.data)
        webhook = parse(body, redactions)
        if is_ping(webhook):
            raise StillUnreadable("a ping")
        event = normalise(webhook, body, letter.failed_at)
        attributes = message_attributes(event, letter.attributes.get("traceparent"))
        return RebuiltMessage(encode(event), attributes)
    except (InvalidEvent, InvalidWebhook) as error:
        raise StillUnreadable(str(error)) from None


@dataclass(slots=True)
class Summary:
    """What one replay has done.

    Attributes:
        replayed: stored on the events topic, and acknowledged; in a dry run, those that would be.
        unreadable: matched, but still cannot be read.
        left: did not match the filter.
        newer: published while this ran; those of this very replay may be among them.
        failed: matched, but not stored, by reason.
        is_complete: whether every dead letter was looked at.
    """

    replayed: int = 0
    unreadable: int = 0
    left: int = 0
    newer: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    is_complete: bool = False

    @property
    def kept(self) -> int:
        """Dead letters that stay, for whatever reason."""
        return self.unreadable + self.left + self.newer + self.failed.total()

    @property
    def is_success(self) -> bool:
        """Whether all that matched were replayed."""
        return self.is_complete and not (self.unreadable or self.failed)


class Replay:
    """Replays the dead letters that a reader pulls; the reader gives back those that remain.

    Safe to be killed at any moment: a dead letter is acknowledged after its message is stored, so
    at worst an event is sent twice, with the same id. It publishes each with one more attribute,
    `replayed`.
    """

    def __init__(
        self,
        reader: DeadLetterReader,
        events: Topic | None,
        wanted: DeadLetterFilter,
        redactions: Sequence[FieldPath],
        summary: Summary,
    ) -> None:
        """Takes the reader, the topic (None: a dry run), what to replay, and where to count."""
        self.summary = summary
        self._reader = reader
        self._events = events
        self._wanted = wanted
        self._redactions = redactions
        self._mark = replay_mark()

    async def __call__(self, letters: Sequence[DeadLetter]) -> None:
        """Replays those of the dead letters that match.

        Raises:
            CallFailed: an acknowledgement failed; what was stored will be replayed again.
        """
        for part in in_parts(list(self._rebuild(letters)), lambda one: len(one[1].data)):
            await self._publish(part)

    def _rebuild(self, letters: Sequence[DeadLetter]) -> Iterator[_Rebuilt]:
        for letter in letters:
            if letter.published_at >= self._reader.opened_at:
                self.summary.newer += 1
            elif not self._wanted.matches(letter):
                self.summary.left += 1
            else:
                try:
                    yield letter, rebuild_message(letter, self._redactions)
                except StillUnreadable:
                    self.summary.unreadable += 1

    async def _publish(self, part: Sequence[_Rebuilt]) -> None:
        events = self._events
        if events is None:
            self.summary.replayed += len(part)
            return
        stored: list[DeadLetter] = []
        failures: list[str] = []

        async def publish(letter: DeadLetter, message: RebuiltMessage) -> None:
            try:
                await events.publish(message.data, {**message.attributes, **self._mark})
            except PublishFailed as error:
                failures.append(error.reason)
            except PublishRejected:
                self.summary.failed["refused"] += 1
            else:
                stored.append(letter)

        try:
            await asyncio.gather(*(publish(*one) for one in part))
        finally:  # also when interrupted: what is stored need not be replayed again
            await self._reader.acknowledge(stored)
            self.summary.replayed += len(stored)
            self.summary.failed.update(failures)
        if failures and not stored:
            self._reader.stop()  # the others would only fail as well

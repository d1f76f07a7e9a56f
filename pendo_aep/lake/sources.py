"""Where the events of a deployment can be: its topic, subscriptions, dataset and table."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import grpc

from pendo_aep.lake.batches import read_batches
from pendo_aep.lake.failed_records import FailedRecord, read_failed_records
from pendo_aep.lake.query_service import QueryService, Stored
from pendo_aep.lake.target import Target
from pendo_aep.lake.topic import Pages, TopicReader
from pendo_aep.provisioning.client import Client
from pendo_aep.pubsub.client import CallFailed
from pendo_aep.settings import LakeSettings

_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class PubSubNames:
    """The paths of what a deployment has in Pub/Sub.

    Attributes:
        topic: where events are published.
        live: the subscriptions from which they are delivered.
        dead_letters: the subscription that keeps the dead letters.
    """

    topic: str
    live: tuple[str, ...]
    dead_letters: str

    @classmethod
    def of(cls, settings: LakeSettings) -> PubSubNames:
        """Returns those of the settings; `drain` often pulls what else is pushed."""
        names = [name for name in (settings.push_subscription, settings.drain_subscription) if name]
        return cls(
            settings.topic_path(settings.pubsub_topic),
            tuple(dict.fromkeys(map(settings.subscription_path, names))),
            settings.subscription_path(settings.dead_letter_subscription),
        )


class PipelineSources:
    """Implements `Sources` on a deployment.

    Attributes:
        absent: the live subscriptions that do not exist. A deployment pushes or drains, and its
            configuration names the subscriptions of both.
    """

    def __init__(
        self,
        reader: TopicReader,
        names: PubSubNames,
        client: Client,
        service: QueryService,
        target: Target,
    ) -> None:
        """Takes what reads Pub/Sub, AEP's APIs and Query Service, and what to read there."""
        self.absent: list[str] = []
        self._reader = reader
        self._names = names
        self._client = client
        self._service = service
        self._target = target

    def published(self, since: datetime, until: datetime) -> Pages:
        """Yields what was published on the topic from `since` to before `until`."""
        return self._reader.published(self._names.topic, since, until)

    async def waiting(self) -> Pages:
        """Yields what is not acknowledged in the live subscriptions.

        Raises:
            CallFailed: none of them exists, or Pub/Sub refuses.
        """
        for subscription in self._names.live:
            try:
                async with aclosing(self._reader.waiting(subscription)) as pages:
                    async for page in pages:
                        yield page
            except CallFailed as error:
                if error.code is not grpc.StatusCode.NOT_FOUND:
                    raise
                self.absent.append(subscription)
                if len(self.absent) == len(self._names.live):
                    raise

    def dead_letters(self) -> Pages:
        """Yields the dead letters."""
        return self._reader.dead_letters(self._names.dead_letters)

    async def failed(
        self, since: datetime, until: datetime
    ) -> AsyncGenerator[Sequence[FailedRecord], None]:
        """Yields the failed records of batches whose data came in the span.

        Those that AEP counts and does not show come without an id.
        """
        dataset = self._target.dataset_id
        async with aclosing(read_batches(self._client, dataset, since, until)) as batches:
            async for batch in batches:
                if not batch.is_failure:
                    continue
                page: list[FailedRecord] = []
                shown = 0
                async with aclosing(read_failed_records(self._client, batch)) as records:
                    async for record in records:
                        page.append(record)
                        shown += 1
                        if len(page) >= _PAGE:
                            yield page
                            page = []
                yield page
                unknown = FailedRecord("", batch.stage, "", "", batch.id)
                for rest in _pages(batch.failed - shown):
                    yield [unknown] * rest

    def stored(self, since: datetime, until: datetime) -> AsyncGenerator[Sequence[Stored], None]:
        """Yields what is stored of the events that occurred in the span."""
        return self._service.stored_ids(self._target.table, since, until)


def _pages(count: int) -> Iterator[int]:
    while count > 0:
        yield min(count, _PAGE)
        count -= _PAGE

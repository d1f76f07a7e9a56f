"""Temporary subscriptions and snapshots: made, used, and deleted whatever happens.

Their names say what they are and when they were made, so that a run that was killed leaves nothing
that the next one could not recognise. A subscription that nobody deletes ends by itself after a
day without use (Google: "Subscription properties", the shortest expiration), a snapshot after a
week at most (Google: "Snapshot and seek overview").
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import grpc

from pendo_aep import clock
from pendo_aep.lake.pubsub_calls import PubSubCalls
from pendo_aep.pubsub.client import CallFailed

T = TypeVar("T")

PREFIX: Final = "pendo-reconcile-"
LABELS: Final = {"managed-by": "pendo-to-aep"}
# Google: an ack deadline is at least 10 s. What a lost response has leased is out of reach for so
# long.
ACK_DEADLINE_SECONDS: Final = 10
_PAGE_SIZE: Final = 100
_DAY_SECONDS: Final = 86_400
# Longer than any reading is expected to take; an interrupted reading would say that its
# subscription is gone.
_MAY_BE_IN_USE: Final = timedelta(hours=1)
_TIME: Final = "%Y%m%dt%H%M%Sz"
_NAME: Final = re.compile(rf"{PREFIX}(\d{{8}}t\d{{6}}z)-[0-9a-f]+")


def _new_id() -> str:
    return f"{PREFIX}{clock.now().strftime(_TIME)}-{secrets.token_hex(4)}"


def made_at(path: str) -> datetime | None:
    """Returns when a resource was made by its name, or None if it is not one of ours."""
    match = _NAME.fullmatch(path.rpartition("/")[2])
    try:
        return datetime.strptime(match[1], _TIME).replace(tzinfo=UTC) if match else None
    except ValueError:
        return None


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Returns the result of the work; a cancellation waits for its end, and is raised then.

    The work must be bounded in time.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # looked at: the cancellation goes before it
        raise cancelled
    return task.result()


class TemporaryResources:
    """Makes temporary subscriptions and snapshots in one project.

    Attributes:
        left_behind: the paths of those that could not be deleted.
    """

    def __init__(self, calls: PubSubCalls, project: str) -> None:
        """Takes how to call Pub/Sub, and the project's ID."""
        self.left_behind: set[str] = set()
        self._calls = calls
        self._project = project
        self._in_use: set[str] = set()

    @asynccontextmanager
    async def subscription(self, topic: str) -> AsyncIterator[str]:
        """Yields the path of a new pull subscription on a topic, and deletes it.

        Raises:
            CallFailed: Pub/Sub does not create it.
        """
        path = f"projects/{self._project}/subscriptions/{_new_id()}"
        async with self._resource(
            path,
            self._calls(
                "CreateSubscription",
                name=path,
                topic=topic,
                labels=LABELS,
                ack_deadline_seconds=ACK_DEADLINE_SECONDS,
                expiration_policy={"ttl": {"seconds": _DAY_SECONDS}},
            ),
        ):
            yield path

    @asynccontextmanager
    async def snapshot(self, subscription: str) -> AsyncIterator[str]:
        """Yields the path of a new snapshot of a subscription, and deletes it.

        Raises:
            CallFailed: Pub/Sub does not create it.
        """
        path = f"projects/{self._project}/snapshots/{_new_id()}"
        create = self._calls("CreateSnapshot", name=path, subscription=subscription, labels=LABELS)
        async with self._resource(path, create):
            yield path

    @asynccontextmanager
    async def _resource(
        self, path: str, create: Coroutine[Any, Any, object]
    ) -> AsyncIterator[None]:
        self._in_use.add(path)
        try:
            # A call that is cut off may still take effect, after the deletion.
            await uninterrupted(_create(create))
            yield
        finally:
            try:
                await uninterrupted(self._delete(path))
            finally:
                self._in_use.discard(path)

    async def _delete(self, path: str) -> bool:
        """Returns whether it does not exist any more."""
        try:
            if "/snapshots/" in path:
                await self._calls("DeleteSnapshot", snapshot=path)
            else:
                await self._calls("DeleteSubscription", subscription=path)
        except CallFailed as error:
            if error.code is not grpc.StatusCode.NOT_FOUND:
                self.left_behind.add(path)
                return False
        self.left_behind.discard(path)
        return True

    async def remove_leftovers(self) -> list[str]:
        """Deletes what runs have left that were killed, and returns the paths.

        What is younger than an hour may be in use, and stays. So does what lacks our label.

        Raises:
            CallFailed: Pub/Sub does not list them.
        """
        found = [path async for path in self._leftovers()]
        return [path for path in found if await uninterrupted(self._delete(path))]

    async def _leftovers(self) -> AsyncGenerator[str, None]:
        before = clock.now() - _MAY_BE_IN_USE
        for kind in ("Subscriptions", "Snapshots"):
            token = ""
            while True:
                page = await self._calls(
                    f"List{kind}",
                    project=f"projects/{self._project}",
                    page_size=_PAGE_SIZE,
                    page_token=token,
                )
                for resource in getattr(page, kind.lower()):
                    made = made_at(resource.name)
                    is_ours = LABELS.items() <= dict(resource.labels).items()
                    if made and made < before and is_ours and resource.name not in self._in_use:
                        yield resource.name
                token = page.next_page_token
                if not token:
                    break


async def _create(create: Coroutine[Any, Any, object]) -> None:
    try:
        await create
    except CallFailed as error:
        # The name is random: an attempt whose answer was lost has made it.
        if error.code is not grpc.StatusCode.ALREADY_EXISTS:
            raise

"""The dead letters of a subscription: pulled, held, acknowledged; what is left is given back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import UTC
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from google.api_core import exceptions
from google.pubsub_v1 import SubscriberAsyncClient
from google.pubsub_v1.types import PullResponse

from pendo_aep import clock
from pendo_aep.cli.connection import CALL_SECONDS, RETRY
from pendo_aep.cli.letters import Letter

T = TypeVar("T")

# A quarter of what Google allows: an answer must be here before the pull's time is up, also over a
# slow line. With several under way, Pub/Sub is still asked for thousands a second.
_MAX_PULL: Final = 250
_PULLERS: Final = 4
# Google: Pub/Sub quotas, 512 KiB a request; ack ids have under 200 bytes.
_MAX_ACK_IDS: Final = 1000
# If this process is killed, its letters are out of reach for so long: not much over Google's
# minimum of 10 s, within which the first renewal must come.
_LEASE_SECONDS: Final = 15
_RENEW_SECONDS: Final = 4.0
_PAUSE_SECONDS: Final = 0.1
# A pull answers within this if there is anything for it.
_GRACE_SECONDS: Final = 1.0


class LetterBox:
    """`async with LetterBox(...) as box`: at its end, what was not acknowledged goes back at once.

    Attributes:
        opened_at: letters that came onto the topic after this moment are new to this run.
        is_stopped: whether nothing more is pulled.
    """

    def __init__(
        self, client: SubscriberAsyncClient, subscription: str, *, wait: float, hold: int
    ) -> None:
        """Takes Google's client and what bounds a run.

        Args:
            client: of the server.
            subscription: `projects/P/subscriptions/S`, a pull subscription.
            wait: how many seconds without a letter mean that there are no more.
            hold: how many letters may be held at a time.
        """
        self.opened_at = clock.now()
        self._client = client
        self._subscription = subscription
        self._wait = wait
        self._hold = hold
        self._asked = 0  # letters that the pulls under way may bring
        self.is_stopped = False
        self._ack_ids: dict[str, str] = {}  # of the letters that are held, by message id
        self._pulls: set[asyncio.Task[list[Letter]]] = set()

    @property
    def is_full(self) -> bool:
        """Whether as many letters are held as may be: there may be more on the server."""
        return len(self._ack_ids) >= self._hold

    async def __aenter__(self) -> Self:
        self._renewal = asyncio.create_task(self._renew())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.is_stopped = True
        if self._pulls:  # interrupted: what they still bring must go back too
            await asyncio.wait(self._pulls, timeout=_GRACE_SECONDS)
        ended = [self._renewal, *self._pulls]
        for task in ended:
            task.cancel()
        await asyncio.wait(ended)
        await self._lease(0)

    def stop(self) -> None:
        """Pull no more."""
        self.is_stopped = True

    async def pull(self) -> list[Letter]:
        """The next letters, each under lease from now on; none if there are no more.

        Raises:
            GoogleAPIError: Pub/Sub refuses, or is out of reach.
        """
        most = min(_MAX_PULL, self._hold - len(self._ack_ids) - self._asked)
        if self.is_stopped or most <= 0:
            return []
        self._asked += most
        pull = asyncio.create_task(self._pull(most))
        self._pulls.add(pull)
        pull.add_done_callback(self._end_pull)
        # A pull that is cut off may have leased letters already: nobody could give them back.
        return await asyncio.shield(pull)

    def _end_pull(self, pull: asyncio.Task[list[Letter]]) -> None:
        self._pulls.discard(pull)
        if not pull.cancelled():
            pull.exception()  # looked at, also when nobody waits: pulls fail together

    async def _pull(self, most: int) -> list[Letter]:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._wait
        try:
            # An empty answer may come early, and says nothing.
            while not self.is_stopped and (patience := until - loop.time()) > 0:
                answer = await self._client.pull(
                    {"subscription": self._subscription, "max_messages": most},
                    retry=RETRY,
                    timeout=patience,
                )
                if received := PullResponse.pb(answer).received_messages:
                    return list(self._take_in(received))
                await asyncio.sleep(min(_PAUSE_SECONDS, patience))
        except exceptions.DeadlineExceeded:
            pass
        finally:
            self._asked -= most
        return []

    def _take_in(self, received: Iterable[Any]) -> Iterator[Letter]:
        for one in received:
            message = one.message
            # One whose lease ended is handed out again: it is held already, by another ack id.
            is_new = message.message_id not in self._ack_ids
            self._ack_ids[message.message_id] = one.ack_id
            if is_new:
                yield Letter(
                    message.message_id,
                    message.publish_time.ToDatetime(UTC),
                    message.data,
                    dict(message.attributes),
                    len(message.data),
                )

    async def acknowledge(self, letters: Sequence[Letter]) -> None:
        """These are done with: nobody will see them again.

        Raises:
            GoogleAPIError: Pub/Sub did not say that it took it.
        """
        for some in _chunks(letters):
            await self._client.acknowledge(
                subscription=self._subscription,
                ack_ids=[self._ack_ids[letter.message_id] for letter in some],
                retry=RETRY,
                timeout=CALL_SECONDS,
            )
            for letter in some:
                del self._ack_ids[letter.message_id]

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            await self._lease(_LEASE_SECONDS)

    async def _lease(self, seconds: int) -> None:
        # If it fails, the leases end by themselves, and the letters are handed out again.
        with contextlib.suppress(exceptions.GoogleAPIError):
            for some in _chunks(list(self._ack_ids.values())):
                await self._client.modify_ack_deadline(
                    subscription=self._subscription,
                    ack_ids=list(some),
                    ack_deadline_seconds=seconds,
                    retry=RETRY,
                    timeout=CALL_SECONDS,
                )


async def read_all(box: LetterBox, handle: Callable[[Sequence[Letter]], Awaitable[None]]) -> None:
    """Has every letter handled that was there when the box was opened.

    Newer ones are handed over as they come, but not waited for: a replay that fails again makes
    new letters, and would never end.

    Raises:
        GoogleAPIError: Pub/Sub refuses, or is out of reach.
    """

    async def read() -> None:
        while letters := await box.pull():
            await handle(letters)
            if all(letter.published_at >= box.opened_at for letter in letters):
                return

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_PULLERS):
                group.create_task(read())
    except ExceptionGroup as failures:  # they fail together, by the same cause
        raise failures.exceptions[0] from None


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _MAX_ACK_IDS):
        yield items[start : start + _MAX_ACK_IDS]

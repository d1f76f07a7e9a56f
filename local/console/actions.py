"""What the console can do to the pipeline: the requests of the page, checked and carried out."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Final

import aiohttp
import grpc.aio
import orjson
from pydantic import BaseModel, ConfigDict, Field

from local.console.fault_injection import FaultInjector, FaultKind, Injection, NothingToBreak
from local.functions import Function, FunctionFailed
from local.samples import sign
from pendo_aep.cli.dead_letter import DeadLetter, DeadLetterFilter
from pendo_aep.cli.dead_letter_reader import DeadLetterReader, explain, read_all
from pendo_aep.cli.dead_letter_replay import Replay, Summary
from pendo_aep.pubsub.client import CallFailed, pubsub_connection
from pendo_aep.pubsub.publisher import Publisher
from pendo_aep.settings import ReceiveSettings

MAX_BURST: Final = 10_000
MAX_TEXT: Final = 4_000_000
# As many requests as Pendo might have open: enough for batches to form.
_CONCURRENCY: Final = 64
_REDACT: Final = ReceiveSettings.model_fields["redact"].default
_HOLD: Final = 10_000
# The dead letters are on this machine: no answer for so long means that there are no more.
_WAIT_SECONDS: Final = 0.5

Result = dict[str, Any]
Replayer = Callable[[frozenset[str] | None], Awaitable[Result]]


class Signature(StrEnum):
    """How a webhook is signed."""

    RIGHT = "right"
    WRONG = "wrong"
    MISSING = "missing"


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SendRequest(_Request):
    """Sends a webhook, or many."""

    text: Annotated[str, Field(max_length=MAX_TEXT)]
    signature: Signature = Signature.RIGHT
    count: Annotated[int, Field(ge=1, le=MAX_BURST)] = 1
    fresh: bool = True


class StopRequest(_Request):
    """Stops the running bursts."""


class InjectRequest(_Request):
    """Injects a fault."""

    kind: FaultKind
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    seconds: Annotated[float, Field(gt=0, le=120)] = 2.0


class ClearRequest(_Request):
    """Clears the faults of a kind; without a kind, all of them."""

    kind: FaultKind | None = None


class RestartRequest(_Request):
    """Restarts a function."""

    target: str
    is_kill: bool = False


class ReplayRequest(_Request):
    """Replays dead letters by their message IDs; without IDs, all of them."""

    ids: frozenset[str] | None = None


class ActionRejected(Exception):
    """The action is not possible now; the text is shown on the page."""


@dataclass(slots=True)
class Actions:
    """Carries out the requests of the page.

    Attributes:
        functions: those that the console can restart, by name.
        busy: names of those that are starting now.
    """

    sender: WebhookSender
    injector: FaultInjector
    replayer: Replayer
    functions: Mapping[str, Function]
    on_change: Callable[[], None]
    busy: set[str] = field(default_factory=set)

    async def send(self, request: SendRequest) -> Result:
        """Sends a webhook and returns what `receive` answered, or starts a burst.

        Raises:
            ActionRejected: It is not JSON, but should become a new event.
        """
        try:
            if request.count > 1:
                self.sender.burst(request.text, request.count, request.signature)
                return {"sending": request.count}
            status, answer = await self.sender.send(
                request.text, request.signature, fresh=request.fresh
            )
        except OSError:
            raise ActionRejected(
                "the recording proxy in front of receive does not answer"
            ) from None
        return {"status": status, "answer": answer}

    async def stop(self, _request: StopRequest) -> Result:
        """Stops the running bursts."""
        await self.sender.stop()
        return {}

    async def inject(self, request: InjectRequest) -> Result:
        """Injects a fault, and returns it in words.

        Raises:
            ActionRejected: There is nothing that it could affect.
        """
        injection = Injection(request.kind, request.share, request.seconds)
        try:
            self.injector.inject(injection)
        except NothingToBreak as error:
            raise ActionRejected(str(error)) from None
        return {"text": injection.text}

    async def clear(self, request: ClearRequest) -> Result:
        """Clears injected faults."""
        self.injector.clear(request.kind)
        return {}

    async def restart(self, request: RestartRequest) -> Result:
        """Restarts a function, after a shutdown or a crash.

        Raises:
            ActionRejected: It was not started here, is already starting, or did not start.
        """
        function = self.functions.get(request.target)
        if function is None:
            raise ActionRejected(f"{request.target} was not started here: restart it where it runs")
        if request.target in self.busy:
            raise ActionRejected(f"{request.target} is already starting")
        self.busy.add(request.target)
        self.on_change()
        try:
            if request.is_kill:
                function.kill()
            await function.restart()
        except (FunctionFailed, TimeoutError) as error:
            raise ActionRejected(str(error) or f"{request.target} did not start") from None
        finally:
            self.busy.discard(request.target)
            self.on_change()
        return {}

    async def replay(self, request: ReplayRequest) -> Result:
        """Replays dead letters and returns how many were replayed, unreadable and failed.

        Raises:
            ActionRejected: Pub/Sub refuses or cannot be reached.
        """
        return await self.replayer(request.ids)


@dataclass(slots=True)
class Progress:
    """The progress of the bursts; all zero if none is running."""

    wanted: int = 0
    answered: int = 0


class WebhookSender:
    """Posts webhooks to one URL as Pendo does, one or many. Use it with `async with`."""

    def __init__(self, url: str, secret: str, on_change: Callable[[], None]) -> None:
        """Takes the URL, the correct secret, and a callback for progress."""
        self.progress = Progress()
        self._url = url
        self._secret = secret
        self._on_change = on_change
        self._bursts: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> WebhookSender:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self._session.close()

    async def send(self, text: str, signature: Signature, *, fresh: bool) -> tuple[int, Any]:
        """Sends one webhook and returns the status and body of the answer.

        Args:
            text: The body.
            signature: How to sign it.
            fresh: Whether to make it a new event, with a new `uniqueId`.

        Raises:
            ActionRejected: `fresh` is set, and it is not a JSON object.
            OSError: Nothing listens at the URL.
        """
        body = next(_fresh(text)) if fresh else text.encode("utf-8", "surrogatepass")
        return await self._post(body, signature)

    def burst(self, text: str, number: int, signature: Signature) -> None:
        """Starts to send so many webhooks, each a new event.

        Raises:
            ActionRejected: It is not a JSON object.
        """
        bodies = _fresh(text)
        self.progress.wanted += number
        task = asyncio.create_task(self._send_all(bodies, number, signature))
        self._bursts.add(task)
        task.add_done_callback(self._ended)
        self._on_change()

    async def stop(self) -> None:
        """Stops the running bursts."""
        bursts = list(self._bursts)
        for task in bursts:
            task.cancel()
        await asyncio.gather(*bursts, return_exceptions=True)

    async def _send_all(self, bodies: Iterator[bytes], number: int, signature: Signature) -> None:
        places = iter(range(number))

        async def client() -> None:
            for _ in places:
                await self._post(next(bodies), signature)
                self.progress.answered += 1
                self._on_change()

        async with asyncio.TaskGroup() as group:
            for _ in range(min(_CONCURRENCY, number)):
                group.create_task(client())

    async def _post(self, body: bytes, signature: Signature) -> tuple[int, Any]:
        async with self._session.post(
            self._url, data=body, headers=self._headers(body, signature)
        ) as response:
            answer = await response.read()
        try:
            return response.status, orjson.loads(answer)
        except orjson.JSONDecodeError:
            return response.status, None

    def _headers(self, body: bytes, signature: Signature) -> dict[str, str]:
        match signature:
            case Signature.RIGHT:
                return sign(body, self._secret)
            case Signature.WRONG:
                return sign(body, f"not {self._secret}")
            case Signature.MISSING:
                return {"Content-Type": "application/json"}

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._bursts.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved, because nothing awaits the task
        if not self._bursts:
            self.progress = Progress()
        self._on_change()


def _fresh(text: str) -> Iterator[bytes]:
    """Returns the webhook again and again, each time with a new `uniqueId`.

    Raises:
        ActionRejected: It is not a JSON object; raised at once, not with the first body.
    """
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ActionRejected(f"this is not JSON: {error.msg}, line {error.lineno}") from None
    if not isinstance(body, dict):
        raise ActionRejected("this is JSON, but not an object")

    def bodies() -> Iterator[bytes]:
        while True:
            # Pendo's are 40 hex digits.
            yield orjson.dumps(body | {"uniqueId": secrets.token_hex(20)})

    return bodies()


@dataclass(frozen=True, slots=True)
class _SelectedIds(DeadLetterFilter):
    """Matches dead letters by message ID."""

    ids: frozenset[str] = frozenset()

    def matches(self, letter: DeadLetter) -> bool:
        return letter.message_id in self.ids


def make_replayer(host: str, topic: str, kept: str) -> Replayer:
    """Returns a function that replays dead letters with the code of `pendo-aep dead-letters`.

    Args:
        host: The Pub/Sub server's address.
        topic: The path of the topic of events.
        kept: The path of the subscription that keeps the dead letters.
    """

    async def replay(ids: frozenset[str] | None) -> Result:
        summary = Summary()
        selection = DeadLetterFilter() if ids is None else _SelectedIds(ids=ids)
        try:
            async with grpc.aio.insecure_channel(host) as channel:
                events = Publisher(topic, pubsub_connection(lambda: channel))
                reader = DeadLetterReader(channel, kept, wait=_WAIT_SECONDS, hold=_HOLD)
                async with reader:
                    await read_all(reader, Replay(reader, events, selection, _REDACT, summary))
        except CallFailed as error:
            raise ActionRejected(explain(error)) from None
        return {
            "replayed": summary.replayed,
            "unreadable": summary.unreadable,
            "failed": summary.failed.total(),
        }

    return replay

"""What the console can do to the pipeline: each POST of the page, done and answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.console import asks
from local.console.injections import Injections
from local.console.replaying import replay
from local.console.senders import NotJson, WebhookSender
from local.functions import Function, FunctionFailed
from pendo_aep.cli.dead_letter_reader import explain
from pendo_aep.pubsub.client import CallFailed

Answer = dict[str, Any]
Replayer = Callable[[frozenset[str] | None], Awaitable[Answer]]


class CannotBeDone(Exception):
    """What was asked for cannot be done now; the text is for the person at the page."""


@dataclass(slots=True)
class Hands:
    """The hands.

    Attributes:
        functions: those that are ours to restart, by name.
        busy: names of those that are starting now.
    """

    sender: WebhookSender
    injections: Injections
    replayer: Replayer
    functions: Mapping[str, Function]
    on_change: Callable[[], None]
    busy: set[str] = field(default_factory=set)

    async def send(self, ask: asks.Send) -> Answer:
        """Sends a webhook and answers what `receive` said; of a burst, that it has begun.

        Raises:
            CannotBeDone: it is not JSON, and should be an event of its own.
        """
        try:
            if ask.count > 1:
                self.sender.burst(ask.text, ask.count, ask.signature)
                return {"sending": ask.count}
            status, said = await self.sender.send(ask.text, ask.signature, fresh=ask.fresh)
        except NotJson as error:
            raise CannotBeDone(str(error)) from None
        except OSError:
            raise CannotBeDone("the recorder in front of receive does not answer") from None
        return {"status": status, "answer": said}

    async def stop(self, _ask: asks.Stop) -> Answer:
        """Ends the bursts that are under way."""
        await self.sender.stop()
        return {}

    async def inject(self, ask: asks.Inject) -> Answer:
        """Lets something go wrong from now on."""
        self.injections.put(ask.injection)
        return {}

    async def clear(self, ask: asks.Clear) -> Answer:
        """Lets it go right again."""
        self.injections.clear(ask.kind)
        return {}

    async def restart(self, ask: asks.Restart) -> Answer:
        """Starts a function again, after an orderly end or a crash.

        Raises:
            CannotBeDone: it is not ours, is starting already, or did not start.
        """
        function = self.functions.get(ask.target)
        if function is None:
            raise CannotBeDone(f"{ask.target} was not started here: restart it where it runs")
        if ask.target in self.busy:
            raise CannotBeDone(f"{ask.target} is starting already")
        self.busy.add(ask.target)
        self.on_change()
        try:
            if ask.is_kill:
                function.kill()
            await function.restart()
        except (FunctionFailed, TimeoutError) as error:
            raise CannotBeDone(str(error) or f"{ask.target} did not start") from None
        finally:
            self.busy.discard(ask.target)
            self.on_change()
        return {}

    async def replay(self, ask: asks.Replay) -> Answer:
        """Replays dead letters, and answers what became of them.

        Raises:
            CannotBeDone: Pub/Sub refuses, or is out of reach.
        """
        return await self.replayer(ask.ids)


def replayer(host: str, topic: str, kept: str) -> Replayer:
    """What replays the letters of a subscription onto a topic, by their paths."""

    async def run(ids: frozenset[str] | None) -> Answer:
        try:
            summary = await replay(host, topic, kept, ids)
        except CallFailed as error:
            raise CannotBeDone(explain(error)) from None
        return {
            "replayed": summary.replayed,
            "unreadable": summary.unreadable,
            "failed": summary.failed.total(),
        }

    return run

"""The command `pendo-aep`, in this process or in one of its own, and dead letters for it.

`run` is for what a command does, and `run_process` and `start` for what only a process shows: its
exit code, its pipes, a terminal, and how it ends on a signal.
"""

from __future__ import annotations

import asyncio
import io
import os
import pty
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
from google.pubsub_v1.types import PubsubMessage

from local.functions import PROJECT, end_group
from local.pipeline import DEAD, EVENTS, PubSubAdmin, administer
from pendo_aep.__main__ import main
from pendo_aep.cli import config_file
from pendo_aep.cli.options import build_parser
from tests.unit.provisioning.harness import Harness
from tests.webhooks import webhook

# Settings of whoever runs the tests must not reach the command.
_OURS = ("AEP_", "CLOUDSDK_", "DEAD_LETTER_", "GOOGLE_", "PENDO_", "PUBSUB_", "REDACT")
_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """The JSON Lines that it printed."""
        return [orjson.loads(line) for line in self.out.splitlines()]


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
    return {**inherited, **settings}


def env_file(path: Path, settings: Mapping[str, str]) -> str:
    """Writes the settings into a configuration file, and returns its path."""
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), "utf-8")
    return str(path)


async def run(
    *arguments: str,
    types: str = "",
    settings: Mapping[str, str],
    default_config: str = os.devnull,
) -> Ran:
    """Runs the command to its end in this process; `types` is what the person answers in a pipe.

    It is in a thread, beside the servers, and its coroutines are in the loop of the test: a thread
    gets no signals, and gRPC wants all calls in one loop. One command at a time: they would share
    the environment and the standard streams.
    """
    loop = asyncio.get_running_loop()

    def run_in_loop(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(_SECONDS)

    command = import_module(build_parser().parse_args(arguments).module)
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, _environment(settings), clear=True),
        patch.object(config_file, "DEFAULT", Path(default_config)),
        patch.object(command, "run_interruptibly", run_in_loop),
        patch.object(sys, "stdin", io.StringIO(types)),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = await asyncio.to_thread(main, arguments)
    return Ran(code, out.getvalue(), err.getvalue())


@asynccontextmanager
async def start(
    *arguments: str, stdin: int = asyncio.subprocess.DEVNULL, settings: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Starts the command in a process group of its own, which ends with the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pendo_aep", *arguments),
        cwd=PROJECT,
        env=_environment(settings),
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        await end_group(process)
        await process.communicate()


async def run_process(
    *arguments: str, stdin: int = asyncio.subprocess.DEVNULL, settings: Mapping[str, str]
) -> Ran:
    """Runs the command to its end in a process of its own."""
    async with start(*arguments, stdin=stdin, settings=settings) as process:
        out, err = await asyncio.wait_for(process.communicate(), _SECONDS)
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


async def run_doctor(*arguments: str, **settings: str) -> Ran:
    """Runs `doctor` to its end."""
    return await run("doctor", *arguments, settings=settings)


@dataclass(frozen=True, slots=True)
class AepCli:
    """`pendo-aep aep` on a stand-in of AEP's platform."""

    adobe: Harness

    def settings(self, **changes: str) -> dict[str, str]:
        """The environment of the command."""
        return {**self.adobe.environ, **changes}

    async def run(self, *arguments: str, types: str = "", **changes: str) -> Ran:
        """Runs the command to its end; `types` is what the person answers in a pipe."""
        return await run("aep", *arguments, types=types, settings=self.settings(**changes))

    async def run_typing(self, types: str, *arguments: str) -> Ran:
        """Runs it in a process whose standard input is a terminal on which somebody types."""
        keyboard, terminal = pty.openpty()
        try:
            os.write(keyboard, types.encode())
            return await run_process("aep", *arguments, stdin=terminal, settings=self.settings())
        finally:
            os.close(keyboard)
            os.close(terminal)


def event_id(number: int) -> str:
    """The id of event `number`."""
    return f"event-{number}"


def event_ids(numbers: Iterable[int]) -> set[str]:
    """The ids of events."""
    return {event_id(number) for number in numbers}


def rejected(number: int, **attributes: str) -> PubsubMessage:
    """A dead letter of `deliver`: the normalised event, which AEP rejected."""
    event = {
        "id": event_id(number),
        "type": "guide.displayed",
        "occurredAt": "2026-01-31T09:00:00.000Z",
        "visitorId": "canary-visitor@example.com",
    }
    letter = {
        "eventId": event_id(number),
        "eventType": "guide.displayed",
        "pendoEvent": "guideDisplayed",
        "reason": "rejected",
        "stage": "deliver",
        "detail": "XDM validation failed",
        "failedAt": "2026-01-31T09:30:00.000Z",
    }
    return PubsubMessage(data=orjson.dumps(event), attributes=letter | attributes)


def exhausted(number: int) -> PubsubMessage:
    """A dead letter of Pub/Sub's own dead-letter policy."""
    message = rejected(number)
    for name in ("reason", "stage", "detail", "failedAt"):
        del message.attributes[name]
    message.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] = "5"
    message.attributes["CloudPubSubDeadLetterSourceSubscription"] = "pendo-events-deliver"
    return message


def unread(data: bytes, letter_id: str, **attributes: str) -> PubsubMessage:
    """A dead letter of `receive`: a webhook with its original bytes."""
    letter = {
        "eventId": letter_id,
        "reason": "not_an_event",
        "stage": "receive",
        "detail": "properties: Input should be a valid dictionary",
        "failedAt": "2026-01-31T09:31:00.000Z",
    }
    return PubsubMessage(data=data, attributes=letter | attributes)


def readable(number: int) -> PubsubMessage:
    """A dead letter of `receive` that the current code can read."""
    return unread(webhook(number), f"webhook-{number}")


@dataclass(frozen=True, slots=True)
class DeadLetterCli:
    """`pendo-aep dead-letters` on one project of a Pub/Sub server.

    Attributes:
        kept: the path of the subscription that keeps the dead letters.
        seen: the path of a subscription to the events topic.
    """

    host: str
    project: str
    admin: PubSubAdmin
    kept: str
    seen: str

    @property
    def events_topic(self) -> str:
        """The path of the events topic."""
        return f"projects/{self.project}/topics/{EVENTS}"

    @property
    def dead_topic(self) -> str:
        """The path of the dead-letter topic."""
        return f"projects/{self.project}/topics/{DEAD}"

    def settings(self, **changes: str) -> dict[str, str]:
        """The environment of the command."""
        ours = {"GOOGLE_CLOUD_PROJECT": self.project, "PUBSUB_EMULATOR_HOST": self.host}
        return ours | changes

    async def put(self, *letters: PubsubMessage) -> None:
        """Publishes dead letters."""
        for first in range(0, len(letters), 1000):
            some = list(letters[first : first + 1000])
            await self.admin.publisher.publish(topic=self.dead_topic, messages=some)

    @asynccontextmanager
    async def start(
        self, *arguments: str, **changes: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """Starts the command in a process group of its own."""
        settings = self.settings(**changes)
        async with start("dead-letters", *arguments, settings=settings) as process:
            yield process

    async def run(self, action: str, *arguments: str, **changes: str) -> Ran:
        """Runs the command to its end."""
        given = ("dead-letters", action, "--wait", "0.5", *arguments)
        return await run(*given, settings=self.settings(**changes))

    async def letters(self) -> set[str]:
        """The event ids of the dead letters that are kept."""
        listed = await self.run("list", "--json")
        assert listed.code == 0, listed.err
        return {line["eventId"] for line in listed.lines}

    async def pull_events(self) -> list[PubsubMessage]:
        """One pull from the events topic: some of what was published since the last."""
        return await self.admin.pull(self.seen, 0.5)

    async def events(self) -> AsyncIterator[PubsubMessage]:
        """All events that were published since the last pull."""
        while messages := await self.pull_events():
            for message in messages:
                yield message

    async def event_ids(self) -> list[str]:
        """The ids of those."""
        return [message.attributes["eventId"] async for message in self.events()]


@asynccontextmanager
async def dead_letter_cli(host: str, project: str) -> AsyncIterator[DeadLetterCli]:
    """The command on a Pub/Sub server, with the topics and subscriptions of a deployment."""
    async with administer(host) as admin:
        await admin.create_topics(project)
        kept = await admin.create_pull_subscription("dead-kept", DEAD, project)
        seen = await admin.create_pull_subscription("events-seen", EVENTS, project)
        yield DeadLetterCli(host, project, admin, kept=kept, seen=seen)

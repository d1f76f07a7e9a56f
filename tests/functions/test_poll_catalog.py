"""Poll answers in words, as deployed: `deliver` and `drain` with a catalogue of polls."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from local.aep import AepServer, has_id, refusing
from local.functions import Function
from local.pipeline import XDM_SETTINGS
from local.pubsub import PubSubServer
from tests.delivery_harness import (
    DEAD_TOPIC,
    TOPIC,
    consumer_env,
    source_with,
)
from tests.webhooks import VISITOR, event, push_body, send, unique_id

ANSWER = {"pollId": "pick", "value": "c-1"}
WORDS = {"question": "How often?", "text": "Daily", "type": "PickList"}


def catalog(question: str = "How often?") -> bytes:
    """Returns a file that `pendo-aep catalog` could have written."""
    poll = {"question": question, "type": "PickList", "choices": {"c-1": "Daily"}}
    return orjson.dumps({"polls": {"pick": poll}})


def replace(file: Path, content: bytes) -> None:
    """Replaces a file as a whole: a function reads it at any moment."""
    temporary = file.with_suffix(".new")
    temporary.write_bytes(content)
    temporary.replace(file)


def poll_event(number: int) -> bytes:
    """Returns a normalised poll answer, with white space that only a new serialisation removes."""
    fields = {"type": "poll.submitted", "answers": [ANSWER], "properties": {"poll": ANSWER}}
    return event(unique_id(number), **fields) + b"\n"


def answers(aep: AepServer, form: str, number: int) -> Any:
    """Returns the answers of an event that AEP has accepted once."""
    [message] = [m.message for m in aep.accepted if m.id == unique_id(number)]
    assert isinstance(message, dict)
    if form == "xdm":
        return message["body"]["xdmEntity"]["_acme"]["pendo"]["answers"]
    return message["answers"]


async def push(http: aiohttp.ClientSession, function: Function, number: int) -> int:
    """Pushes a poll answer, and returns the status."""
    body = push_body(poll_event(number), eventId=unique_id(number))
    return (await send(http, function.url, body)).status


async def test_answers_have_words_while_the_file_changes(
    server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Missing, written, changed, broken: every event is delivered, with the words that are known.

    What stands in the dead letter of an event that AEP rejects is the message as it came.
    """
    file = tmp_path / "catalog.json"
    often = source_with(tmp_path, {"pendo_aep.pipeline.poll_catalog._POLL_SECONDS": 0.05})
    settings = consumer_env(server, aep, PENDO_CATALOG_FILE=str(file), **XDM_SETTINGS, **often)
    async with Function("deliver", settings) as function:
        numbers = iter(range(1000))

        async def push_until(expected: dict[str, str]) -> None:
            async with asyncio.timeout(60):
                while True:
                    number = next(numbers)
                    assert await push(http, function, number) == 204
                    if answers(aep, "xdm", number) == [ANSWER | expected]:
                        return

        await push_until({})
        replace(file, catalog())
        await push_until(WORDS)
        replace(file, catalog("How often now?"))
        await push_until(WORDS | {"question": "How often now?"})
        replace(file, catalog()[:-5])
        async with asyncio.timeout(60):
            while not any(line.get("reason") == "is not JSON" for line in function.lines):
                await push_until(WORDS | {"question": "How often now?"})

        rejected = next(numbers)
        aep.faults.add(refusing(has_id(unique_id(rejected))))
        assert await push(http, function, rejected) == 204

    warnings = [line for line in function.lines if line["message"] == "poll catalogue not used"]
    assert [line["severity"] for line in warnings] == ["WARNING", "WARNING"]  # missing, broken
    dead = {m.attributes["eventId"]: m.data for m in server.published(DEAD_TOPIC)}
    assert dead[unique_id(rejected)] == poll_event(rejected)
    assert VISITOR not in function.text


async def test_without_the_setting_nothing_is_loaded(
    server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The module is not even imported, and answers are sent as they came."""
    source = tmp_path / "source.py"
    lines = ["import sys", "from main import *", "assert 'pendo_aep.pipeline.poll_catalog' not in "]
    source.write_text("\n".join(lines) + "sys.modules\n", "utf-8")
    settings = consumer_env(server, aep, FUNCTION_SOURCE=str(source))
    async with Function("deliver", settings) as function:
        assert await push(http, function, 5000) == 204
    assert answers(aep, "raw", 5000) == [ANSWER]


async def test_drain(
    server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """`drain` sends the words too, in raw."""
    file = tmp_path / "catalog.json"
    file.write_bytes(catalog())
    server.publish(TOPIC, poll_event(6000), eventId=unique_id(6000))
    settings = consumer_env(server, aep, PENDO_CATALOG_FILE=str(file))
    async with Function("drain", settings) as function:
        answer = await send(http, function.url, b"")
    assert answer.json()["delivered"] == 1
    assert answers(aep, "raw", 6000) == [ANSWER | WORDS]

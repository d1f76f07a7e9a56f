"""`dead-letters` when something is wrong: a setting, a right, Pub/Sub, or an interrupted run."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import grpc
import pytest

from local.functions import free_port
from local.pubsub import PubSubServer, delayed, failing
from local.pubsub.model import Event, Nacked, Published
from pendo_aep.cli import dead_letter_reader
from tests.unit.cli.cli_harness import DeadLetterCli, dead_letter_cli, event_ids, rejected

pytestmark = pytest.mark.process

PROG = "pendo-aep dead-letters list: "
MANY = 4_000
SOME = 300


@pytest.fixture
async def server() -> AsyncIterator[PubSubServer]:
    """Our server, with short leases: what a killed run held comes back soon."""
    async with PubSubServer(ack_deadline=2) as server:
        yield server


@pytest.fixture
async def cli(server: PubSubServer, project: str) -> AsyncIterator[DeadLetterCli]:
    """On that server, to look into it and to inject failures."""
    async with dead_letter_cli(server.host, project) as cli:
        yield cli


@pytest.mark.parametrize(
    ("arguments", "settings", "problem"),
    [
        ([], {"GOOGLE_CLOUD_PROJECT": ""}, "GOOGLE_CLOUD_PROJECT: is missing"),
        ([], {"DEAD_LETTER_TOPIC": "a/b"}, "DEAD_LETTER_TOPIC: write"),
        ([], {"REDACT": "a..b"}, "REDACT: 'a..b' is not a path"),
        ([], {"DEAD_LETTER_TOPIC": "nobody"}, "not found in Pub/Sub: .*nobody"),
        (["--subscription", "nobody"], {}, "not found in Pub/Sub: .*nobody"),
    ],
    ids=["no project", "topic", "redact", "missing topic", "missing subscription"],
)
async def test_what_is_wrong_or_missing_is_named(
    cli: DeadLetterCli, arguments: list[str], settings: dict[str, str], problem: str
) -> None:
    """In one line. Settings of the functions are not read."""
    listed = await cli.run("list", *arguments, PENDO_EVENTS="nonsense", **settings)

    assert (listed.code, listed.out) == (1, "")
    assert re.match(PROG + problem, listed.err)
    assert listed.err.count("\n") == 1


@pytest.mark.parametrize("rpc", ["ListTopicSubscriptions", "Pull"])
async def test_no_permission_says_which_roles(
    server: PubSubServer, cli: DeadLetterCli, rpc: str
) -> None:
    """Pub/Sub denies it: the line names the roles that suffice, and dead letters stay."""
    await cli.put(rejected(1))
    server.faults.add(failing(rpc, grpc.StatusCode.PERMISSION_DENIED))

    replayed = await cli.run("replay")

    assert replayed.code == 1
    assert "no permission: injected PERMISSION_DENIED" in replayed.err
    assert "roles/pubsub.subscriber" in replayed.err
    assert replayed.err.count("\n") == 1
    assert server.stats(cli.kept).waiting == 1


async def test_an_acknowledgement_that_fails_is_reported(
    server: PubSubServer, cli: DeadLetterCli
) -> None:
    """The event is there, and so is the letter: it may come twice, but it is not lost."""
    await cli.put(rejected(1))
    server.faults.add(failing("Acknowledge", grpc.StatusCode.PERMISSION_DENIED).times(1))

    replayed = await cli.run("replay")

    assert replayed.code == 1
    assert "no permission" in replayed.err
    assert len(server.published(cli.events_topic)) == 1
    assert server.stats(cli.kept).waiting == 1


async def test_an_unreachable_server_is_reported(
    cli: DeadLetterCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No server at the address, or no credentials for Google: one line each."""
    monkeypatch.setattr(dead_letter_reader, "_CONNECT_SECONDS", 1.0)
    no_key = {
        "PUBSUB_EMULATOR_HOST": "",
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "no-such-key.json"),
    }
    away = await cli.run("list", PUBSUB_EMULATOR_HOST=f"127.0.0.1:{free_port()}")
    unknown = await cli.run("list", **no_key)

    assert (away.code, away.out) == (1, "")
    assert away.err == PROG + "Pub/Sub is out of reach: no connection within 1 s\n"
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.err.startswith(PROG + "there are no Google credentials: run `gcloud auth ")
    assert unknown.err.count("\n") == 1


async def test_reaching_the_bound_on_what_is_held_is_reported(
    server: PubSubServer, cli: DeadLetterCli
) -> None:
    """A list that holds as many as it may says that there may be more."""
    await cli.put(*map(rejected, range(5)))

    listed = await cli.run("list", "--json", "--hold", "2")

    assert (listed.code, len(listed.lines)) == (0, 2)
    assert "there may be more dead letters" in listed.err
    assert server.stats(cli.kept).waiting == 5


async def test_interrupted_twice_it_loses_nothing(server: PubSubServer, cli: DeadLetterCli) -> None:
    """4,000 dead letters, SIGINT, SIGKILL, a third run: every event is stored, none is left."""
    await cli.put(*map(rejected, range(MANY)))
    server.faults.add(delayed("Publish", 0.3))  # so that the middle lasts a while

    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        more_than = partial(_has_more_than, server, cli, len(server.published(cli.events_topic)))
        async with cli.start("replay") as replay:
            await server.wait_for(more_than, 60)
            replay.send_signal(number)
            assert await asyncio.wait_for(replay.wait(), 60) == code
        left = server.stats(cli.kept)
        assert left.waiting + left.outstanding > 0
        if number == signal.SIGINT:
            assert left.outstanding == 0  # given back at once, not when the leases end

    await server.wait_for(lambda: server.stats(cli.kept).outstanding == 0)
    server.faults.clear()
    third = await cli.run("replay", "--wait", "2")

    assert (third.code, third.err) == (0, "")
    assert {m.attributes["eventId"] for m in server.published(cli.events_topic)} == event_ids(
        range(MANY)
    )
    assert server.stats(cli.kept).idle


def _has_more_than(server: PubSubServer, cli: DeadLetterCli, count: int) -> bool:
    return len(server.published(cli.events_topic)) > count


async def test_an_interrupted_list_gives_everything_back(
    server: PubSubServer, cli: DeadLetterCli
) -> None:
    """After SIGTERM, what it held is available at once; nothing is printed."""
    await cli.put(*map(rejected, range(SOME)))
    kept = cli.kept

    async with cli.start("list", "--wait", "60") as listing:
        await server.wait_for(lambda: server.stats(kept).outstanding == SOME, 60)
        returned: list[str] = []

        def note(event: Event) -> None:
            if isinstance(event, Nacked):
                returned.append(event.reason)

        server.observe(note)
        listing.send_signal(signal.SIGTERM)
        out, err = await asyncio.wait_for(listing.communicate(), 60)

    assert (listing.returncode, out) == (130, b"")
    assert err == b"pendo-aep dead-letters list: interrupted\n"
    assert returned == ["refused"] * SOME


async def test_a_replay_does_not_chase_its_own_dead_letters(
    server: PubSubServer, cli: DeadLetterCli
) -> None:
    """What fails again while it runs is left for another run; else it would never end."""

    def fail_again(event: Event) -> None:
        if isinstance(event, Published) and event.topic == cli.events_topic:
            again = rejected(0).attributes
            server.publish(cli.dead_topic, event.message.data, **again)

    await cli.put(*map(rejected, range(SOME)))
    server.observe(fail_again)
    replayed = await cli.run("replay", "--json")

    assert replayed.code == 0, replayed.err
    assert replayed.lines[0]["replayed"] == SOME
    assert len(server.published(cli.events_topic)) == SOME
    assert server.stats(cli.kept).waiting == SOME

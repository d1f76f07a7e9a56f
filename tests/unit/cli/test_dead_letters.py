"""`dead-letters` as people run it, on our Pub/Sub server and on Google's emulator alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import pytest
from google.pubsub_v1.types import Subscription

from pendo_aep import clock
from pendo_aep.clock import rfc3339
from tests.conftest import PubSub
from tests.unit.cli.cli_harness import (
    DeadLetterCli,
    dead_letter_cli,
    env_file,
    event_ids,
    exhausted,
    readable,
    rejected,
    run,
    unread,
)
from tests.webhooks import COMMENT, VISITOR, unique_id

pytestmark = pytest.mark.process

# More than two pulls of Google's emulator, which answers 100 at most.
SOME = 300
# Google: an ack deadline is at least ten seconds.
LEAST_LEASE = 10
DEEP = b'{"event":"pollSubmitted","properties":' + b'{"a":' * 300 + b"1" + b"}" * 301


@pytest.fixture
async def cli(pubsub: PubSub, project: str) -> AsyncIterator[DeadLetterCli]:
    """On our server, and on Google's emulator."""
    async with dead_letter_cli(pubsub.host, project) as cli:
        yield cli


async def test_list_shows_no_content_of_the_events(cli: DeadLetterCli) -> None:
    """The table has a row for each dead letter, newest first, and the counts by reason."""
    await cli.put(rejected(1), readable(2), exhausted(3))

    listed = await cli.run("list")

    assert listed.code == 0, listed.err
    heading, *rows, counts = listed.out.splitlines()
    assert " ".join(heading.split()) == "event id reason stage type failed at bytes detail"
    assert [row.split()[:3] for row in rows] == [
        ["event-3", "exhausted", "-"],
        ["webhook-2", "not_an_event", "receive"],
        ["event-1", "rejected", "deliver"],
    ]
    assert "XDM validation failed" in rows[2]
    assert counts == "3 dead letters: 1 exhausted, 1 not_an_event, 1 rejected"
    assert VISITOR not in listed.out
    assert COMMENT not in listed.out


async def test_many_dead_letters_with_one_detail_suggest_a_wrong_setting(
    cli: DeadLetterCli,
) -> None:
    """If ten of the last hour have the same detail, the list says what to do."""
    now = rfc3339(clock.now())
    old = [rejected(number) for number in range(20)]
    await cli.put(*old, *(rejected(n, failedAt=now, detail="400 no") for n in range(20, 29)))
    assert (await cli.run("list")).err == ""

    await cli.put(rejected(29, failedAt=now, detail="400 no"))
    listed = await cli.run("list")
    assert listed.code == 0
    assert listed.err.startswith("10 dead letters of the last hour have the same detail: 400 no\n")
    command = listed.err.strip().partition("pendo-aep dead-letters ")[2]
    assert (await cli.run(*command.split(), "--json")).lines[0]["replayed"] == 10


async def test_list_gives_everything_back(cli: DeadLetterCli) -> None:
    """The next command sees at once what a list has read, also more than one pull brings."""
    await cli.put(*map(rejected, range(250)))

    assert await cli.letters() == event_ids(range(250))

    replayed = await cli.run("replay")
    assert (replayed.code, replayed.err) == (0, "")
    assert set(await cli.event_ids()) == event_ids(range(250))
    assert await cli.letters() == set()


async def test_the_settings_may_be_in_a_file(cli: DeadLetterCli, tmp_path: Path) -> None:
    """Also the address of an emulator."""
    await cli.put(rejected(1))
    config = env_file(tmp_path / "my.env", cli.settings())

    listed = await run("dead-letters", "list", "--json", "--config", config, settings={})

    assert (listed.code, [line["eventId"] for line in listed.lines]) == (0, ["event-1"])


async def test_show_prints_the_original_bytes(cli: DeadLetterCli) -> None:
    """One dead letter in full, by its event id or message id; exit code 1 if there is none."""
    await cli.put(rejected(1), unread(b"\xff\x1b[2Jno", "odd"))

    event = await cli.run("show", "event-1")
    assert event.code == 0, event.err
    attributes, _, data = event.out.partition("\n\n")
    assert "reason: rejected" in attributes.splitlines()
    assert orjson.loads(data) == orjson.loads(rejected(1).data)
    assert '  "visitorId": ' in data

    odd = await cli.run("show", "odd", "--json")
    (shown,) = odd.lines
    assert shown["attributes"]["reason"] == "not_an_event"
    assert shown["data"] == "/xtbMkpubw=="
    by_message = await cli.run("show", shown["messageId"])
    assert by_message.out.endswith("\n\n\\xff\\x1b[2Jno\n")

    none = await cli.run("show", "event-2")
    assert (none.code, none.out) == (1, "")
    assert none.err == "pendo-aep dead-letters show: no dead letter with ID event-2\n"


async def test_a_dry_run_changes_nothing(cli: DeadLetterCli) -> None:
    """It shows what would happen; every dead letter stays, and no event is published."""
    await cli.put(rejected(1), readable(2), unread(b"{", "broken"))

    dry = await cli.run("replay", "--dry-run", "--reason", "not_an_event")

    assert dry.code == 1  # one of them could not be replayed
    assert [line.split(maxsplit=1) for line in dry.out.splitlines()] == [
        ["1", "would be replayed"],
        ["1", "kept: still unreadable"],
        ["1", "kept: do not match the filter"],
    ]
    assert await cli.event_ids() == []
    assert await cli.letters() == {"event-1", "webhook-2", "broken"}


async def test_replay_sends_dead_letters_through_the_pipeline(cli: DeadLetterCli) -> None:
    """Webhooks are read again, messages are published unchanged, what is unreadable stays.

    Each that is published says in the attribute `replayed` when, as after `reconcile`.
    """
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    webhook = readable(2)
    webhook.attributes["traceparent"] = trace
    await cli.put(rejected(1), webhook, exhausted(3), unread(DEEP, "deep"))

    first = await cli.run("replay", "--json")

    assert first.code == 1
    assert first.lines == [
        {
            "dryRun": False,
            "replayed": 3,
            "unreadable": 1,
            "left": 0,
            "newer": 0,
            "failed": {},
            "complete": True,
        }
    ]
    events = {message.attributes["eventId"]: message async for message in cli.events()}
    assert events.keys() == {"event-1", unique_id(2), "event-3"}
    for message in events.values():
        at = datetime.fromisoformat(message.attributes.pop("replayed"))
        assert timedelta(0) <= clock.now() - at < timedelta(minutes=5)
    for number in (1, 3):
        original = {
            "eventId": f"event-{number}",
            "eventType": "guide.displayed",
            "pendoEvent": "guideDisplayed",
        }
        assert dict(events[f"event-{number}"].attributes) == original
        assert events[f"event-{number}"].data == rejected(number).data
    read = events[unique_id(2)]
    assert dict(read.attributes) == {
        "eventId": unique_id(2),
        "eventType": "nps.submitted",
        "pendoEvent": "npsSubmitted",
        "schemaVersion": "1",
        "traceparent": trace,
    }
    event = orjson.loads(read.data)
    assert event["receivedAt"] == "2026-01-31T09:31:00.000Z"
    assert event["properties"]["guideProperties"] == {"name": "NPS"}

    second = await cli.run("replay", "--json")
    assert (second.lines[0]["replayed"], second.lines[0]["unreadable"]) == (0, 1)
    assert await cli.event_ids() == []
    assert await cli.letters() == {"deep"}


async def test_replay_leaves_what_the_filter_does_not_match(cli: DeadLetterCli) -> None:
    """All filters must match; the others stay, and the exit code is 0."""
    wanted = rejected(1, failedAt="2026-01-02T00:00:00.000Z")
    await cli.put(
        wanted,
        rejected(2, failedAt="2026-01-02T00:00:00.000Z", eventType="nps.submitted"),
        rejected(3, failedAt="2026-01-02T00:00:00.000Z", reason="foreign"),
        rejected(4, failedAt="2025-12-31T23:59:59.999Z"),
        rejected(5, failedAt="2026-01-03T00:00:00.000Z"),
        exhausted(6),
    )

    narrow = ["--reason", "rejected", "--reason", "exhausted", "--type", "guide.displayed"]
    time = ["--since", "2026-01-01T00:00:00Z", "--until", "2026-01-03T01:00:00+01:00"]
    replayed = await cli.run("replay", *narrow, *time)

    assert replayed.code == 0, replayed.err
    assert await cli.event_ids() == ["event-1"]
    assert await cli.letters() == event_ids(range(2, 7))


async def test_a_publish_that_fails_leaves_the_dead_letter(cli: DeadLetterCli) -> None:
    """It is acknowledged only once its event is stored; the exit code is 1."""
    await cli.put(rejected(1))

    failed = await cli.run("replay", PUBSUB_TOPIC="no-such-topic")

    assert failed.code == 1
    assert "1 kept: failed (NOT_FOUND)" in failed.out
    assert "publishing to" in failed.err
    assert await cli.letters() == {"event-1"}


async def test_one_of_several_subscriptions_must_be_chosen(cli: DeadLetterCli) -> None:
    """With several pull subscriptions it lists them; with none it says how to create one."""
    second = await cli.admin.create_pull_subscription("dead-too", "pendo-events-dead", cli.project)
    await cli.put(rejected(1))

    several = await cli.run("list")
    assert (several.code, several.out) == (1, "")
    assert cli.kept in several.err
    assert second in several.err
    by_name = await cli.run("list", "--subscription", "dead-too")
    by_path = await cli.run("list", "--subscription", cli.kept)
    assert "event-1" in by_name.out
    assert by_name.out == by_path.out

    await cli.admin.subscriber.delete_subscription(subscription=cli.seen)
    none = await cli.run("list", DEAD_LETTER_TOPIC="pendo-events")
    assert none.code == 1
    assert "gcloud pubsub subscriptions create pendo-events-kept" in none.err


async def test_what_a_killed_run_held_comes_back(pubsub: PubSub, cli: DeadLetterCli) -> None:
    """After SIGKILL, a run that waits longer than a lease replays all that was left."""
    if pubsub.server is not None:
        pytest.skip("test_dead_letters_failures.py does it on our server, in less time")
    await cli.admin.subscriber.delete_subscription(subscription=cli.kept)
    await cli.admin.subscriber.create_subscription(
        Subscription(name=cli.kept, topic=cli.dead_topic, ack_deadline_seconds=LEAST_LEASE)
    )
    await cli.put(*map(rejected, range(SOME)))

    seen: list[str] = []
    async with cli.start("replay") as replay:
        while not seen:
            assert replay.returncode is None
            seen = [message.attributes["eventId"] for message in await cli.pull_events()]
        replay.kill()
        await replay.wait()
    last = await cli.run("replay", "--wait", str(LEAST_LEASE + 2))

    assert last.code == 0, last.err
    assert {*seen, *await cli.event_ids()} == event_ids(range(SOME))
    assert await cli.letters() == set()

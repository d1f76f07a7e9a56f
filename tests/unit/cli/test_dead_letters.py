"""`dead-letters` as people run it, on our Pub/Sub server and on Google's emulator alike."""

from __future__ import annotations

import asyncio

import orjson

from pendo_aep import clock
from pendo_aep.clock import rfc3339
from tests.unit.cli.desk import Desk, exhausted, ids, readable, refused, unread
from tests.webhooks import COMMENT, VISITOR, unique_id

DEEP = b'{"event":"pollSubmitted","properties":' + b'{"a":' * 300 + b"1" + b"}" * 301


async def test_list_tells_all_but_what_the_events_hold(desk: Desk) -> None:
    """The table has a row for each letter, newest first, and counts; no data of any event."""
    await desk.put(refused(1), readable(2), exhausted(3))

    listed = await desk.run("list")

    assert listed.code == 0, listed.err
    heading, *rows, counts = listed.out.splitlines()
    assert heading.split() == [
        "event",
        "id",
        "reason",
        "stage",
        "type",
        "failed",
        "at",
        "bytes",
        "detail",
    ]
    assert [row.split()[:3] for row in rows] == [
        ["event-3", "exhausted", "-"],
        ["webhook-2", "not_an_event", "receive"],
        ["event-1", "rejected", "deliver"],
    ]
    assert "XDM validation failed" in rows[2]
    assert counts == "3 letters: 1 exhausted, 1 not_an_event, 1 rejected"
    assert VISITOR not in listed.out
    assert COMMENT not in listed.out


async def test_many_letters_with_one_detail_are_a_setting(desk: Desk) -> None:
    """When ten letters of the last hour say the same, the list says what to do."""
    now = rfc3339(clock.now())
    old = [refused(number) for number in range(20)]
    await desk.put(*old, *(refused(n, failedAt=now, detail="400 no") for n in range(20, 29)))
    assert (await desk.run("list")).err == ""

    await desk.put(refused(29, failedAt=now, detail="400 no"))
    listed = await desk.run("list")
    assert listed.code == 0
    assert listed.err.startswith("10 letters of the last hour have the same detail: 400 no\n")
    command = listed.err.strip().partition("python -m pendo_aep dead-letters ")[2]
    assert (await desk.run(*command.split(), "--json")).lines[0]["replayed"] == 10


async def test_list_gives_everything_back(desk: Desk) -> None:
    """What a list has seen is there at once for whoever comes next, also more than one pull has."""
    await desk.put(*map(refused, range(250)))

    assert await desk.letters() == ids(range(250))

    replayed = await desk.run("replay")
    assert (replayed.code, replayed.err) == (0, "")
    assert set(await desk.event_ids()) == ids(range(250))
    assert await desk.letters() == set()


async def test_show_prints_the_original_bytes(desk: Desk) -> None:
    """One letter by its event id or message id, whole; exit 1 when there is none."""
    await desk.put(refused(1), unread(b"\xff\x1b[2Jno", "odd"))

    event = await desk.run("show", "event-1")
    assert event.code == 0, event.err
    attributes, _, data = event.out.partition("\n\n")
    assert "reason: rejected" in attributes.splitlines()
    assert orjson.loads(data) == orjson.loads(refused(1).data)
    assert '  "visitorId": ' in data

    odd = await desk.run("show", "odd", "--json")
    (shown,) = odd.lines
    assert shown["attributes"]["reason"] == "not_an_event"
    assert shown["data"] == "/xtbMkpubw=="
    by_message = await desk.run("show", shown["messageId"])
    assert by_message.out.endswith("\n\n\\xff\\x1b[2Jno\n")

    none = await desk.run("show", "event-2")
    assert (none.code, none.out) == (1, "")
    assert none.err == "python -m pendo_aep dead-letters show: there is no letter event-2\n"


async def test_a_dry_run_changes_nothing(desk: Desk) -> None:
    """It says what would happen; every letter stays, and no event is published."""
    await desk.put(refused(1), readable(2), unread(b"{", "broken"))

    dry = await desk.run("replay", "--dry-run", "--reason", "not_an_event")

    assert dry.code == 1  # one of them could not be replayed
    assert [line.split(maxsplit=1) for line in dry.out.splitlines()] == [
        ["1", "would be replayed"],
        ["1", "still unreadable: they stay letters"],
        ["1", "left by the filter"],
    ]
    assert await desk.event_ids() == []
    assert await desk.letters() == {"event-1", "webhook-2", "broken"}


async def test_replay_goes_back_through_the_front(desk: Desk) -> None:
    """Webhooks are read again, messages go back as they were, and what is unreadable stays."""
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    webhook = readable(2)
    webhook.attributes["traceparent"] = trace
    await desk.put(refused(1), webhook, exhausted(3), unread(DEEP, "deep"))

    first = await desk.run("replay", "--json")

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
    events = {message.attributes["eventId"]: message async for message in desk.events()}
    assert events.keys() == {"event-1", unique_id(2), "event-3"}
    for number in (1, 3):
        original = {
            "eventId": f"event-{number}",
            "eventType": "guide.displayed",
            "pendoEvent": "guideDisplayed",
        }
        assert dict(events[f"event-{number}"].attributes) == original
        assert events[f"event-{number}"].data == refused(number).data
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

    second = await desk.run("replay", "--json")
    assert (second.lines[0]["replayed"], second.lines[0]["unreadable"]) == (0, 1)
    assert await desk.event_ids() == []
    assert await desk.letters() == {"deep"}


async def test_replay_leaves_what_the_filter_does_not_want(desk: Desk) -> None:
    """Filters narrow down together; the others stay, and the exit code is 0."""
    wanted = refused(1, failedAt="2026-01-02T00:00:00.000Z")
    await desk.put(
        wanted,
        refused(2, failedAt="2026-01-02T00:00:00.000Z", eventType="nps.submitted"),
        refused(3, failedAt="2026-01-02T00:00:00.000Z", reason="foreign"),
        refused(4, failedAt="2025-12-31T23:59:59.999Z"),
        refused(5, failedAt="2026-01-03T00:00:00.000Z"),
        exhausted(6),
    )

    narrow = ["--reason", "rejected", "--reason", "exhausted", "--type", "guide.displayed"]
    time = ["--since", "2026-01-01T00:00:00Z", "--until", "2026-01-03T01:00:00+01:00"]
    replayed = await desk.run("replay", *narrow, *time)

    assert replayed.code == 0, replayed.err
    assert await desk.event_ids() == ["event-1"]
    assert await desk.letters() == ids(range(2, 7))


async def test_a_publish_that_fails_leaves_the_letter(desk: Desk) -> None:
    """Nothing is acknowledged that the events topic does not have; the exit code says so."""
    await desk.put(refused(1))

    failed = await desk.run("replay", PUBSUB_TOPIC="no-such-topic")

    assert failed.code == 1
    assert "1 failed (NOT_FOUND): they stay letters" in failed.out
    assert "publishing to" in failed.err
    assert await desk.letters() == {"event-1"}


async def test_several_subscriptions_are_a_question(desk: Desk) -> None:
    """With more than one pull subscription people must say which; with none, how to make one."""
    second = await desk.admin.create_pull_subscription(
        "dead-too", "pendo-events-dead", desk.project
    )
    await desk.put(refused(1))

    several = await desk.run("list")
    assert (several.code, several.out) == (1, "")
    assert desk.kept in several.err
    assert second in several.err
    by_name, by_path = await asyncio.gather(
        desk.run("list", "--subscription", "dead-too"),
        desk.run("list", "--subscription", desk.kept),
    )
    assert "event-1" in by_name.out
    assert by_name.out == by_path.out

    await desk.admin.subscriber.delete_subscription(subscription=desk.seen)
    none = await desk.run("list", DEAD_LETTER_TOPIC="pendo-events")
    assert none.code == 1
    assert "gcloud pubsub subscriptions create pendo-events-kept" in none.err

"""The stream of server-sent events: what a page is told when it opens, and from then on."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import aiohttp
import pytest

from local.console.records import Status
from local.console.stream import Follower, Pace
from tests.local.console.bench import Bench, bench, events
from tests.local.console.scene import Scene

QUICK = Pace(pause=0.001, quiet=0.01)


def ways(scene: Scene, *keys: str) -> None:
    """Events that have been stored and sent, and one of them refused."""
    for key in keys:
        scene.tell("stored", key)
        scene.tell("pushed", key)
    scene.tell("sent", *keys)
    scene.tell("buried", keys[0], "rejected", "deliver")


async def eventually(bench: Bench, followers: int) -> None:
    """Waits until so many pages follow."""
    async with asyncio.timeout(30):
        while True:  # nothing tells that a handler has ended
            if len(bench.state.on_change) == followers:
                return
            await asyncio.sleep(0.01)


async def test_a_new_page_is_told_everything() -> None:
    """The first event is a snapshot: all rows, counts, seconds, and what the page shows beside."""
    async with bench() as console:
        ways(console.scene, "e1", "e2")
        async with console.http.get(f"{console.url}api/stream") as response:
            assert response.status == 200
            assert response.content_type == "text/event-stream"
            kind, told = await anext(events(response))

    assert kind == "snapshot"
    assert {row["key"]: row["status"] for row in told["events"]["changed"]} == {
        "e1": Status.DEAD,
        "e2": Status.DELIVERING,
    }
    assert [row["messages"] for row in told["batches"]["changed"]] == [2]
    assert [row["reason"] for row in told["letters"]["changed"]] == ["rejected"]
    assert told["counts"]["stored"] == 2
    assert told["now"] == console.scene.now * 1000
    assert (told["injections"], told["functions"]) == ([], {})
    assert told["sending"] == {"wanted": 0, "answered": 0}
    assert told["facts"] == {"receive": "here"}


async def test_afterwards_a_page_is_told_what_changes() -> None:
    """Each further event has the rows that are new or changed, and the keys of those that left."""
    async with bench(QUICK, max_events=2) as console:
        ways(console.scene, "e1", "e2")
        async with console.http.get(f"{console.url}api/stream") as response:
            stream = events(response)
            await anext(stream)

            console.scene.tell("stored", "e3")
            kind, told = await anext(one async for one in stream if one[0] != "comment")

    assert kind == "change"
    assert [row["key"] for row in told["events"]["changed"]] == ["e3"]
    assert told["events"]["gone"] == ["e1"]
    assert told["batches"] == told["letters"] == {"changed": [], "gone": []}
    assert told["counts"]["stored"] == 3


async def test_many_changes_are_told_at_once() -> None:
    """However often a row changes between two looks, it is told once, as it is then."""
    scene = Scene()
    follower = Follower(scene.state, dict)
    ways(scene, "e1")
    for _ in range(1000):
        scene.tell("pushed", "e1")

    told = follower.take()

    assert told.count(b'"key":"e1"') == 1
    assert b'"attempts":1001' in told


async def test_a_page_that_reads_slowly_costs_no_more_than_the_tables() -> None:
    """50,000 events pass while it does not read: what waits for it is bounded, and then right."""
    scene = Scene(max_events=100)
    follower = Follower(scene.state, dict)
    scene.tell("stored", "first")
    follower.take()

    for number in range(50_000):
        scene.tell("stored", f"e{number}")

    told = follower.take()
    assert told.count(b'"key":') == 100
    assert b'"gone":["first"]' in told
    assert len(told) < 100_000


async def test_a_page_that_hears_nothing_gets_a_sign_of_life() -> None:
    """So that what lies between does not hang up, and a page that is gone is noticed."""
    async with (
        bench(QUICK) as console,
        console.http.get(f"{console.url}api/stream") as response,
    ):
        kinds = []
        async with asyncio.timeout(30):
            async for kind, _ in events(response):
                kinds.append(kind)
                if len(kinds) == 3:
                    break

    assert kinds == ["snapshot", "comment", "comment"]


async def test_a_page_that_is_closed_is_forgotten() -> None:
    """Nothing is collected for it any more."""
    async with bench(QUICK) as console:
        for number in range(3):
            async with console.http.get(f"{console.url}api/stream") as response:
                await anext(events(response))
                await eventually(console, 1)
                console.scene.tell("stored", f"e{number}")
            await eventually(console, 0)


async def test_an_open_page_does_not_keep_the_console_from_ending() -> None:
    """Its stream is cut, and the console is gone."""
    async with asyncio.timeout(30), AsyncExitStack() as stack:
        page = await stack.enter_async_context(aiohttp.ClientSession())
        async with bench() as console:
            response = await stack.enter_async_context(page.get(f"{console.url}api/stream"))
            stream = events(response)
            await anext(stream)
        with pytest.raises(aiohttp.ClientPayloadError):
            await anext(stream)


async def test_two_pages_are_told_the_same() -> None:
    """One that looks takes nothing from the other."""
    scene = Scene()
    one, other = Follower(scene.state, dict), Follower(scene.state, dict)
    ways(scene, "e1", "e2")

    assert sorted(one.take()) == sorted(other.take())

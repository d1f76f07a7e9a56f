"""Following the server: events, conditions, and the parts that need no network."""

import asyncio
from typing import Any

import pytest
import uvloop

from local.pubsub import (
    Acked,
    DeadLettered,
    DeadLetterPolicy,
    DeliveryEnded,
    DeliveryStarted,
    Event,
    InvalidArgumentError,
    Nacked,
    NotFoundError,
    Published,
    PushFlow,
    RetryPolicy,
)
from local.pubsub.timetable import Timetable
from local.pubsub.window import PushWindow
from tests.local.pubsub_kit import DEAD, SUBSCRIPTION, TOPIC, endpoint, pubsub, run


def test_events_tell_a_messages_life() -> None:
    """An observer hears of every step of a push in order: refused first, then acknowledged."""

    async def test() -> None:
        statuses = iter([503, 204])

        async def answer(_body: dict[str, Any]) -> int:
            return next(statuses)

        events: list[Event] = []
        async with pubsub() as (server, _), endpoint(answer) as pushed:
            server.create_subscription(SUBSCRIPTION, TOPIC, push_endpoint=pushed.url)
            server.observe(events.append)
            server.publish(TOPIC, b"x")
            await server.idle()
            (message,) = server.published(TOPIC)
            assert events == [
                Published(TOPIC, message),
                DeliveryStarted(SUBSCRIPTION, message, 1),
                DeliveryEnded(SUBSCRIPTION, message, 1, 503),
                Nacked(SUBSCRIPTION, message, 1, "refused"),
                DeliveryStarted(SUBSCRIPTION, message, 2),
                DeliveryEnded(SUBSCRIPTION, message, 2, 204),
                Acked(SUBSCRIPTION, message, 2),
            ]

    run(test())


def test_events_tell_of_expiry_and_dead_letters() -> None:
    """A lease that runs out is told as such, and so is the way into the dead-letter topic."""

    async def test() -> None:
        events: list[Event] = []
        async with pubsub(ack_deadline=0.05, pull_wait=5) as (server, google):
            server.create_subscription(
                SUBSCRIPTION, TOPIC, dead_letter_policy=DeadLetterPolicy(DEAD)
            )
            server.publish(TOPIC, b"x")
            for _ in range(5):
                await google.pull()
            server.observe(events.append)
            await server.idle(SUBSCRIPTION)
            (message,), (dead,) = server.published(TOPIC), server.published(DEAD)
            assert events == [
                Nacked(SUBSCRIPTION, message, 5, "expired"),
                Published(DEAD, dead),
                DeadLettered(SUBSCRIPTION, message, 5, DEAD, dead.id),
            ]

    run(test())


def test_waiting_has_an_end() -> None:
    """Waiting for what does not come ends with TimeoutError; an unknown name fails at once."""

    async def test() -> None:
        async with pubsub() as (server, _):
            server.create_subscription(SUBSCRIPTION, TOPIC)
            server.publish(TOPIC, b"x")
            await server.idle()  # nobody pulls, and there is no push subscription
            with pytest.raises(TimeoutError):
                await server.idle(SUBSCRIPTION, within=0.05)
            with pytest.raises(NotFoundError):
                await server.idle(f"{SUBSCRIPTION}-2")

    run(test())


def test_the_window_halves_once_for_each_round() -> None:
    """Failures of requests that were open together shrink the window once, later ones again."""
    window = PushWindow(PushFlow(initial=8, maximum=10))
    first = window.epoch
    assert [window.failed(first) for _ in range(8)] == [0.0] * 8
    assert window.size == 4
    window.failed(window.epoch)
    assert window.size == 2
    for _ in range(20):
        window.succeeded()
    assert window.size == 10


def test_pauses_double_until_a_success() -> None:
    """At a window of one, each failure pauses for twice as long, up to the maximum."""
    window = PushWindow(PushFlow(initial=1, minimum_backoff=0.1, maximum_backoff=0.5))
    assert [window.failed(window.epoch) for _ in range(5)] == [0.1, 0.2, 0.4, 0.5, 0.5]
    window.succeeded()
    assert window.failed(window.epoch) == 0.0
    assert window.failed(window.epoch) == 0.1


def test_backoff_knows_no_overflow() -> None:
    """A message that has failed thousands of times still rests for the maximum."""
    assert RetryPolicy(0.1, 600).backoff(100_000) == 600
    with pytest.raises(InvalidArgumentError):
        RetryPolicy(20, 10)


def test_the_timetable_keeps_order_and_forgets_the_dead() -> None:
    """Items fall due in the order of their times, and those no longer live are swept out."""

    async def test() -> None:
        done = asyncio.Event()
        due: list[int] = []
        live = {1, 2, 3}

        def note(item: int) -> None:
            due.append(item)
            if item == 3:
                done.set()

        timetable: Timetable[int] = Timetable(note, lambda _when, item: item in live)
        now = asyncio.get_running_loop().time()
        for n in range(10_000):
            timetable.add(now + 600, 1_000 + n)
            assert len(timetable) <= 1_004
        for item in (3, 1, 2):
            timetable.add(now + item / 100, item)
        await asyncio.wait_for(done.wait(), 5)
        assert due == [1, 2, 3]
        timetable.close()
        assert len(timetable) == 0

    run(test())


def test_the_timetable_runs_on_uvloop() -> None:
    """What was due a moment ago does not keep a timetable on uvloop from taking more."""

    async def test() -> None:
        due: asyncio.Queue[int] = asyncio.Queue()
        timetable: Timetable[int] = Timetable(due.put_nowait, lambda _when, _item: True)
        past = asyncio.get_running_loop().time() - 1
        for item in (1, 2):
            timetable.add(past, item)
        async with asyncio.timeout(30):
            assert [await due.get(), await due.get()] == [1, 2]

    uvloop.run(test())

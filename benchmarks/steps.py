"""The pure steps of a webhook, in a plain loop: what is left when nothing waits for a network."""

from __future__ import annotations

import hmac
import statistics
import time
from collections.abc import Callable

import orjson

from benchmarks import events
from benchmarks.figures import Figure
from pendo_aep import clock
from pendo_aep.event import encode, message_attributes
from pendo_aep.pendo.normalise import normalise
from pendo_aep.pendo.signature import verify
from pendo_aep.pendo.webhook import parse
from pendo_aep.settings import ReceiveSettings, load

_PER_TURN = 250


async def measure(rounds: int, repeats: int) -> list[Figure]:
    """CPU of an event in microseconds, and its ratio to HMAC and JSON alone."""
    body = events.webhook()
    secrets = [events.SECRET.encode()]
    signature = hmac.new(secrets[0], body, "sha256").hexdigest()
    settings = load(
        ReceiveSettings, {"GOOGLE_CLOUD_PROJECT": "local", "PENDO_WEBHOOK_SECRETS": events.SECRET}
    )

    def ours() -> None:
        verified = verify(body, [signature], secrets)
        event = normalise(parse(verified, settings.redact), verified, clock.now())
        encode(event)
        message_attributes(event)

    def floor() -> None:
        hmac.digest(secrets[0], body, "sha256")
        orjson.dumps(orjson.loads(body))

    pairs = [_side_by_side(ours, floor, repeats) for _ in range(rounds + 1)][1:]
    steps, floors = zip(*pairs, strict=True)
    return [
        Figure("steps, us", steps),
        Figure.ratio("steps / floor", steps, floors),
    ]


def _side_by_side(
    ours: Callable[[], None], floor: Callable[[], None], repeats: int
) -> tuple[float, float]:
    """CPU of both, in turns of some milliseconds: a machine that others use is slow for longer."""
    turns = [
        (_cpu_us(ours, _PER_TURN), _cpu_us(floor, _PER_TURN)) for _ in range(repeats // _PER_TURN)
    ]
    ours_us, floor_us = zip(*turns, strict=True)
    return statistics.median(ours_us), statistics.median(floor_us)


def _cpu_us(step: Callable[[], None], repeats: int) -> float:
    started = time.process_time()
    for _ in range(repeats):
        step()
    return (time.process_time() - started) / repeats * 1e6

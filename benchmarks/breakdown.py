"""Where the CPU goes: our functions step by step, and the pure steps in a plain loop."""

from __future__ import annotations

import hmac
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import orjson

from benchmarks.comparisons import CONNECTIONS
from benchmarks.figures import Figure
from benchmarks.functions import (
    DELIVER,
    NOOP_DELIVER,
    NOOP_RECEIVE,
    RECEIVE,
    MeasuredFunction,
    Source,
    alternate,
)
from benchmarks.load import SECRET, push_request, webhook, webhook_request
from benchmarks.servers import Servers
from pendo_aep import clock
from pendo_aep.event import encode, message_attributes
from pendo_aep.pendo.normalise import normalise
from pendo_aep.pendo.signature import verify
from pendo_aep.pendo.webhook import parse
from pendo_aep.settings import ReceiveSettings, load

_FILE: Final = Path(__file__).with_name("baselines") / "layers.py"
# Each function does one thing more than the one before it.
OF_RECEIVE: Final[Mapping[str, Source]] = {
    "empty, answers 200": NOOP_RECEIVE,
    "reads the body": Source("reads", "reads", _FILE),
    "verifies the signature": Source("verifies", "verifies", _FILE),
    "parses and validates": Source("parses", "parses", _FILE),
    "normalises and serialises": Source("normalises", "normalises", _FILE),
    "publishes, waits, logs: `receive`": RECEIVE,
}
OF_DELIVER: Final[Mapping[str, Source]] = {
    "empty, answers 204": NOOP_DELIVER,
    "reads the push": Source("takes", "takes", _FILE),
    "waits in a batch as long as AEP takes": Source("waits", "waits", _FILE),
    "unpacks, sends, logs: `deliver`": DELIVER,
}
_PER_TURN: Final = 250


async def measure_layers(rounds: int, requests: int) -> list[Figure]:
    """Measures CPU of a request by each function, in turns, as a ratio to the empty one."""
    figures = []
    for layers, request in ((OF_RECEIVE, webhook_request), (OF_DELIVER, push_request)):
        async with Servers() as servers, AsyncExitStack() as stack:
            functions = [
                await stack.enter_async_context(MeasuredFunction(source, servers))
                for source in layers.values()
            ]
            costs = await alternate(
                functions, request, rounds=rounds, requests=requests, connections=CONNECTIONS
            )
        cpu = {name: [cost.cpu_us for cost in costs[source]] for name, source in layers.items()}
        empty = next(iter(cpu.values()))
        figures += [Figure.ratio(name, of, empty) for name, of in cpu.items()]
    return figures


async def measure_steps(rounds: int, repeats: int) -> list[Figure]:
    """Measures CPU of the pure steps in microseconds, and its ratio to HMAC and JSON alone."""
    body = webhook()
    secrets = [SECRET.encode()]
    signature = hmac.new(secrets[0], body, "sha256").hexdigest()
    settings = load(
        ReceiveSettings, {"GOOGLE_CLOUD_PROJECT": "local", "PENDO_WEBHOOK_SECRETS": SECRET}
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
    """Returns CPU of both, in turns of milliseconds: a busy machine is slow for longer."""
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

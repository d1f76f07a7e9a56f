"""Where the CPU of a request goes: our functions step by step, each beside the no-op."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from benchmarks import events
from benchmarks.figures import Figure
from benchmarks.processes import DELIVER, NOOP_DELIVER, NOOP_RECEIVE, RECEIVE, Measured, Source
from benchmarks.receive import CONNECTIONS
from benchmarks.rounds import alternate
from benchmarks.servers import Servers

_FILE: Final = Path(__file__).with_name("baselines") / "layers.py"

# What each function does more than the one before it.
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


async def measure(rounds: int, requests: int) -> list[Figure]:
    """CPU of a request by each function, in turns, as ratios to the empty one."""
    return [
        *await _climb(OF_RECEIVE, events.webhook_request, rounds, requests),
        *await _climb(OF_DELIVER, events.push_request, rounds, requests),
    ]


async def _climb(
    layers: Mapping[str, Source], request: Callable[[], bytes], rounds: int, requests: int
) -> list[Figure]:
    async with Servers() as servers, AsyncExitStack() as stack:
        functions = [
            await stack.enter_async_context(Measured(source, servers)) for source in layers.values()
        ]
        costs = await alternate(
            functions, request, rounds=rounds, requests=requests, connections=CONNECTIONS
        )
    cpu = {name: [cost.cpu_us for cost in costs[source]] for name, source in layers.items()}
    empty = next(iter(cpu.values()))
    return [Figure.ratio(name, of, empty) for name, of in cpu.items()]

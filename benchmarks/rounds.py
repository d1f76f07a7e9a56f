"""Functions measured side by side, in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.cost import Cost
from benchmarks.processes import Measured, Source

# A machine that others use is slow for seconds on end: what is compared takes turns faster.
_TURNS = 4


async def alternate(
    functions: Sequence[Measured],
    request: Callable[[], bytes],
    *,
    rounds: int,
    requests: int,
    connections: int,
) -> dict[Source, list[Cost]]:
    """Sends requests to each function in turn, several turns a round.

    Args:
        functions: those that are compared.
        request: makes one request.
        rounds: that are measured; one more comes first, so that all are warm.
        requests: to each function in a round.
        connections: at a time.

    Returns:
        For each function's source, what it cost in each round.
    """
    costs: dict[Source, list[Cost]] = {function.source: [] for function in functions}
    for round_ in range(rounds + 1):
        spent: dict[Source, Cost] = {}
        for _ in range(_TURNS):
            for function in functions:
                count = max(requests // _TURNS // function.source.share, 1)
                cost = await function.burst([request() for _ in range(count)], connections)
                before = spent.get(function.source)
                spent[function.source] = cost if before is None else before + cost
        if round_:
            for source, cost in spent.items():
                costs[source].append(cost)
    return costs

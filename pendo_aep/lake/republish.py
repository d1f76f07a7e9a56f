"""How the commands publish again what is on a topic already: marked, and in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from pendo_aep import clock

T = TypeVar("T")

# Published at once: enough for large calls, little enough for a slow line.
_PART_BYTES: Final = 1_000_000


def replay_mark() -> dict[str, str]:
    """Returns the attribute of messages that are published again; its value is when."""
    return {"replayed": clock.rfc3339(clock.now())}


def in_parts(messages: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Yields the messages in parts to publish at once.

    Args:
        messages: in any order.
        size: returns the bytes of one.
    """
    part: list[T] = []
    total = 0
    for one in messages:
        part.append(one)
        total += size(one)
        if total >= _PART_BYTES:
            yield part
            part, total = [], 0
    if part:
        yield part

"""Several gclouds at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

# Each is a Python of its own that starts: more at a time only wait for the CPU.
_AT_A_TIME: Final = 4


def together(act: Callable[[T], object], things: Iterable[T]) -> None:
    """Does something with all of them; all have ended before a failure is raised."""
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        running = [pool.submit(act, thing) for thing in things]
    for one in running:
        one.result()

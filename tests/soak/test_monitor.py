"""Reading what the functions print."""

from __future__ import annotations

import pytest

from tests.cases import Case, cases
from tests.soak.monitor import Footprint, LogScanner, MemoryMonitor


@pytest.mark.parametrize("case", cases("soak_lines"))
def test_a_line(case: Case) -> None:
    """A secret, personal data or a traceback is noticed wherever it stands, and nothing else is."""
    lines = LogScanner()
    lines.read([case["line"]])
    assert dict(lines.messages) == {case["message"]: 1}
    assert lines.leaks == ([case["line"]] if case.get("leak") else [])
    assert lines.tracebacks == ([case["line"]] if case.get("traceback") else [])


def test_not_all_of_a_flood_is_kept() -> None:
    """Of a million leaks, the first ten say enough."""
    lines = LogScanner()
    lines.read(["canary comment"] * 1000)
    assert len(lines.leaks) == 10
    assert lines.messages["not JSON"] == 1000


# Whether a function's memory grows.


def footprint(*lives: list[float]) -> Footprint:
    """Of a function whose processes took so much, second by second."""
    memory = MemoryMonitor()
    for process, life in enumerate(lives):
        for megabytes in life:
            memory.note("receive", process, megabytes)
    return memory.footprints()["receive"]


def test_a_leak_is_growth() -> None:
    """What takes a MB more each second has grown."""
    growth = footprint([50.0 + second for second in range(120)]).growth
    assert growth is not None
    assert growth > 1.5


def test_starting_is_no_growth() -> None:
    """What is filled once, at the start of a life, is not counted."""
    of = footprint([30.0, 40.0, 50.0, *[60.0] * 117])
    assert of == Footprint(peak=60.0, first=60.0, last=60.0, samples=120, growth=1.0)


def test_the_longest_life_counts() -> None:
    """Of a function that was killed, the process that lived longest is looked at; peaks of all."""
    of = footprint([90.0] * 5, [60.0] * 70, [80.0] * 10)
    assert (of.peak, of.last, of.samples) == (90.0, 60.0, 70)


def test_a_short_life_says_nothing() -> None:
    """Under two minutes nobody can tell growth from starting."""
    assert footprint([float(second) for second in range(1, 120)]).growth is None


def test_a_worker_that_ends_by_itself_is_noticed() -> None:
    """A server has one worker: another is in the place of one that has ended."""
    memory = MemoryMonitor()
    for server, workers in ((1, [10]), (1, [10]), (2, []), (2, [20])):  # 1 was killed as a whole
        memory.note_workers(server, workers)
    assert memory.replaced == 0
    memory.note_workers(2, [21])
    assert memory.replaced == 1

"""The monitor: leaks in log lines, and growth of memory."""

from __future__ import annotations

import pytest

from tests.cases import Case, cases
from tests.soak.monitor import Footprint, LogScanner, MemoryMonitor


@pytest.mark.parametrize("case", cases("soak_lines"))
def test_a_line_is_scanned(case: Case) -> None:
    """A secret, personal data or a traceback is found anywhere in a line, and nothing else is."""
    log = LogScanner()
    log.read([case["line"]])
    assert dict(log.messages) == {case["message"]: 1}
    assert log.leaks == ([case["line"]] if case.get("leak") else [])
    assert log.tracebacks == ([case["line"]] if case.get("traceback") else [])


def footprint(*lives: list[float]) -> Footprint:
    """Returns the footprint of a function whose processes used so much, second by second."""
    memory = MemoryMonitor()
    for process, life in enumerate(lives):
        for megabytes in life:
            memory.add("receive", process, megabytes)
    return memory.footprints()["receive"]


def test_a_leak_is_growth_and_start_up_is_not() -> None:
    """A MB more each second is growth; what is filled once, at the start, is not."""
    growth = footprint([50.0 + second for second in range(120)]).growth
    assert growth is not None
    assert growth > 1.5
    started = footprint([30.0, 40.0, 50.0, *[60.0] * 117])
    assert started == Footprint(peak=60.0, first=60.0, last=60.0, samples=120, growth=1.0)


def test_the_longest_life_counts() -> None:
    """Growth is that of the process that lived longest, over two minutes; the peak is of all."""
    of = footprint([90.0] * 5, [60.0] * 70, [80.0] * 10)
    assert (of.peak, of.last, of.samples) == (90.0, 60.0, 70)
    assert footprint([float(second) for second in range(1, 120)]).growth is None


def test_a_worker_that_ends_by_itself_is_noticed() -> None:
    """A server has one worker: another one replaces one that has ended."""
    memory = MemoryMonitor()
    for server, workers in ((1, [10]), (1, [10]), (2, []), (2, [20])):  # 1 was killed as a whole
        memory.add_workers(server, workers)
    assert memory.replaced == 0
    memory.add_workers(2, [21])
    assert memory.replaced == 1

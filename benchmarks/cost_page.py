"""Writes the tables of `docs/cost.md`: `python -m benchmarks.cost_page`; `make bench` does, too."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks import beyond, bill
from benchmarks.tables import fill
from local.functions import PROJECT

PAGE: Final = PROJECT / "docs" / "cost.md"


def write(path: Path = PAGE) -> None:
    """From the measured CPU, the prices and the simulation.

    Raises:
        NoMarks: the page has no place for a table; nothing is written.
    """
    cpu = bill.load_cpu()
    fill(path, {**bill.tables(cpu, bill.load_prices()), **beyond.tables(cpu.deliver)})


if __name__ == "__main__":
    write()

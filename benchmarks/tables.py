"""Markdown tables in documents, each between `<!-- NAME: begin -->` and `<!-- NAME: end -->`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


class MarkersMissing(Exception):
    """The document has no place for a table."""


def fill(path: Path, tables: Mapping[str, str]) -> None:
    """Writes each text between the markers of its name.

    Raises:
        MarkersMissing: The document lacks some; nothing is written.
    """
    text = path.read_text("utf-8")
    for name, content in tables.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        before, begun, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if not begun or not ended:
            raise MarkersMissing(
                f"{path.name} has no {begin.strip()} with its end after it: add both"
            )
        text = f"{before}{begin}{content}\n{end}{after}"
    path.write_text(text, "utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table; the first column is left-aligned, the others right-aligned."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float) -> str:
    """Returns three digits, which is all that a benchmark on a shared machine can tell."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"

"""Writes the figures of `docs/reliability.md`: `python -m tests.soak.page`; `--record` does, too.

They come from the runs that are kept in `soak/results.json` and `fuzz/results.json`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson

from benchmarks.tables import fill, table
from local.functions import PROJECT
from tests.fuzz.record import read as fuzz_results
from tests.soak.plan import KILL_CARRIER, KILL_RECEIVE

PAGE: Final = PROJECT / "docs" / "reliability.md"
RESULTS: Final = PROJECT / "tests" / "soak" / "results.json"
Row: TypeAlias = Mapping[str, Any]
"""A result as JSON."""


def record(row: Row, results: Path = RESULTS, page: Path = PAGE) -> None:
    """Keeps a result, in place of the one of the same command, and writes the page anew.

    Raises:
        NoMarks: the page has no place for the figures.
    """
    others = [kept for kept in load(results) if kept["command"] != row["command"]]
    rows = sorted([*others, row], key=lambda kept: kept["planned"])
    lasting = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    results.write_bytes(orjson.dumps(rows, option=lasting))
    write(results, page)


def load(results: Path = RESULTS) -> list[Row]:
    """The results that are kept; none where there is no file."""
    rows: list[Row] = orjson.loads(results.read_bytes()) if results.exists() else []
    return rows


def write(results: Path = RESULTS, page: Path = PAGE) -> None:
    """Writes the tables into the page.

    Raises:
        NoMarks: the page has no place for them.
    """
    rows = load(results)
    fill(page, {"soak": _account(rows), "faults": _faults(rows), "fuzz": _fuzz()})


def _account(rows: Sequence[Row]) -> str:
    """A column for each run."""
    lines: dict[str, list[str]] = {
        "": [f"`{row['command']}`" for row in rows],
        "date, Python, cores": [f"{r['date']}, {r['python']}, {r['cores']}" for r in rows],
        "webhooks sent": [f"{row['account']['sent']:,}" for row in rows],
        "a second, in the long run": [
            f"{row['account']['told'] / row['load_seconds']:,.0f}" for row in rows
        ],
        "kills": [f"{_kills(row):,}" for row in rows],
        "other faults": [f"{sum(row['strikes'].values()) - _kills(row):,}" for row in rows],
        "tokens issued by AEP": [f"{row['tokens']:,}" for row in rows],
        "**told accepted, and lost**": [f"**{len(row['account']['lost']):,}**" for row in rows],
        "**dead letters without a cause**": [
            f"**{len(row['account']['causeless']):,}**" for row in rows
        ],
        "dead letters with one": [f"{row['account']['dead']:,}" for row in rows],
        "events AEP got again, with the same `_id`": [_copies(row) for row in rows],
        "events under another id, or altered in anything": [
            f"{len(row['account']['strangers']) + len(row['account']['altered']):,}" for row in rows
        ],
        "secrets or personal data in a line or an answer": [f"{len(r['leaks']):,}" for r in rows],
        "tracebacks": [f"{len(row['tracebacks']):,}" for row in rows],
        "workers that ended although nobody had killed them": [
            f"{row['replaced']:,}" if "replaced" in row else "not counted" for row in rows
        ],
        "memory at most, MB": [
            ", ".join(f"`{name}` {of['peak']:.0f}" for name, of in row["memory"].items())
            for row in rows
        ],
        "its growth while a process lived longest": [_growth(row) for row in rows],
        "at rest after the last webhook, s": [f"{row['rest_seconds']:.0f}" for row in rows],
    }
    head, *body = [[name, *values] for name, values in lines.items()]
    return table(head, body)


def _faults(rows: Sequence[Row]) -> str:
    kinds = sorted({kind for row in rows for kind in row["strikes"]})
    head = ["", *[f"`{row['command']}`" for row in rows]]
    return table(head, [[k, *[f"{row['strikes'].get(k, 0):,}" for row in rows]] for k in kinds])


def _fuzz() -> str:
    head = ["date, command", "inputs", "branches", "finding"]
    body = [
        [
            f"{row['date']}, `python -m fuzz {row['target']} --seconds {row['seconds']}`",
            f"{row['inputs']:,}",
            f"{row['coverage']:,}",
            row["finding"] or "none",
        ]
        for row in fuzz_results()
    ]
    return table(head, body)


def _kills(row: Row) -> int:
    return sum(row["strikes"].get(kind, 0) for kind in (KILL_RECEIVE, KILL_CARRIER))


def _copies(row: Row) -> str:
    copies, held = row["account"]["copies"], row["account"]["held"]
    return f"{copies:,} ({copies / (held + copies):.2%})" if held else "0"


def _growth(row: Row) -> str:
    told = [
        f"`{name}` {of['growth'] - 1:+.1%} in {of['samples']} s"
        for name, of in row["memory"].items()
        if of["growth"] is not None
    ]
    return ", ".join(told) or "too short to tell"


if __name__ == "__main__":
    write()

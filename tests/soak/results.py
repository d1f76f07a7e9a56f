"""The results: what a run found, as a table for people, as JSON, and in `docs/reliability.md`.

The page shows the runs kept in `tests/soak/results.json` and `tests/fuzz/results.json`;
`python -m tests.soak.results` writes it, and so does `--record`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson
from rich.table import Table

from benchmarks.tables import fill, table
from local.functions import PROJECT
from tests.fuzz.campaign import read_results as fuzz_results
from tests.soak.fault_schedule import KILL_CARRIER, KILL_RECEIVE
from tests.soak.monitor import Footprint
from tests.soak.reconciliation import ReconciliationReport

# The allocator differs by some percent from run to run, even on one machine.
_MAX_GROWTH: Final = 1.15
# The README deploys the functions with this much, in MB.
_INSTANCE: Final = 512
_MOST_MESSAGES: Final = 14
PAGE: Final = PROJECT / "docs" / "reliability.md"
RESULTS: Final = Path(__file__).with_name("results.json")
Row: TypeAlias = Mapping[str, Any]
"""A result as JSON."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a run. The names are keys of `results.json`.

    Attributes:
        date: of its beginning, as in 2026-01-31.
        command: that repeats it.
        python: the version.
        cores: of the machine.
        planned: webhooks to be sent.
        load_seconds: until the last of them was answered.
        rest_seconds: after that, until all was quiet.
        gave_up: whether it was ended because there was no more progress.
        strikes: how often each kind of fault happened.
        account: the reconciliation.
        answers: that the load generator got, and how often.
        aep_answers: that the functions got from AEP, and how often.
        tokens: how many they were issued; one lives for 20 seconds.
        messages: that the functions logged, and how often.
        memory: of each function.
        replaced: workers that ended although nobody had killed them.
        leaks: lines and answers with a secret or personal data.
        tracebacks: lines with a traceback.
    """

    date: str
    command: str
    python: str
    cores: int
    planned: int
    load_seconds: float
    rest_seconds: float
    gave_up: bool
    strikes: Mapping[str, int]
    account: ReconciliationReport
    answers: Mapping[str, int]
    aep_answers: Mapping[str, int]
    tokens: int
    messages: Mapping[str, int]
    memory: Mapping[str, Footprint]
    replaced: int
    leaks: tuple[str, ...]
    tracebacks: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Webhooks a second, from the first to the last answer."""
        return self.account.told / self.load_seconds

    @property
    def kills(self) -> int:
        """How often a function was killed."""
        return sum(self.strikes.get(kind, 0) for kind in (KILL_RECEIVE, KILL_CARRIER))

    @property
    def copies_share(self) -> float:
        """The share of what AEP got that it already had."""
        given = self.account.held + self.account.copies
        return self.account.copies / given if given else 0.0

    @property
    def broken(self) -> list[str]:
        """The broken promises, each with the first example."""
        account = self.account
        examples: dict[str, list[str]] = {
            "lost": list(account.lost),
            "dead without cause": [f"{i} ({why})" for i, why in account.causeless.items()],
            "under an id that was never sent": list(account.strangers),
            "with something else in it than was sent": list(account.altered),
            "lines with a secret or personal data": list(self.leaks),
            "tracebacks": list(self.tracebacks),
            "functions whose memory grows": [
                f"{name} ({of.first:.0f} to {of.last:.0f} MB)"
                for name, of in self.memory.items()
                if of.growth is not None and of.growth > _MAX_GROWTH
            ],
            f"functions that took more than {_INSTANCE} MB": [
                f"{name} ({of.peak:.0f} MB)"
                for name, of in self.memory.items()
                if of.peak > _INSTANCE
            ],
        }
        found = [f"{len(of):,} {what}: {of[0]}" for what, of in examples.items() if of]
        if unsent := self.planned - account.sent:
            found.append(f"{unsent:,} webhooks never sent")
        if account.unanswered:
            found.append(f"{account.unanswered:,} webhooks never got a 2xx")
        if self.replaced:
            found.append(f"{self.replaced:,} workers ended although nobody had killed them")
        if self.gave_up:
            found.append("it did not come to its end: see what the functions logged")
        return found


def result_table(result: Result) -> Table:
    """Returns the result as a table of two columns."""
    account = result.account
    rows = {
        "Pendo": f"{account.sent:,} webhooks in {result.load_seconds:.0f} s, "
        f"{result.rate:,.0f} a second; {account.told:,} told 2xx",
        "answers": _counts(result.answers),
        "AEP": f"{account.held:,} events, and {account.copies:,} copies with the same id "
        f"({result.copies_share:.2%})",
        "its answers": f"{_counts(result.aep_answers)}; {result.tokens:,} tokens",
        "dead letters": f"{account.dead:,} events, and {account.dead_copies:,} copies; "
        f"{len(account.causeless):,} without cause",
        "lost": f"{len(account.lost):,}",
        "at rest after": f"{result.rest_seconds:.1f} s",
        "killed": f"{result.kills:,}; {result.replaced:,} workers ended by themselves",
        "all faults": _counts(result.strikes),
        "logged": _counts(dict(islice(result.messages.items(), _MOST_MESSAGES))),
    }
    for name, of in result.memory.items():
        growth = "" if of.growth is None else f", {of.growth - 1:+.1%} while it lived longest"
        rows[f"memory of {name}"] = f"{of.last:.0f} MB, {of.peak:.0f} at most{growth}"
    rows["promises"] = "kept" if not result.broken else "BROKEN: " + "; ".join(result.broken)
    found = Table(title=result.command, title_justify="left", box=None, show_header=False)
    for name, text in rows.items():
        found.add_row(name, text)
    return found


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} x {what}" for what, count in counts.items())


def record_result(row: Row, results: Path = RESULTS, page: Path = PAGE) -> None:
    """Keeps a result, in place of the one of the same command, and writes the page.

    Raises:
        MarkersMissing: The page has no place for the tables.
    """
    others = [kept for kept in load_results(results) if kept["command"] != row["command"]]
    rows = sorted([*others, row], key=lambda kept: kept["planned"])
    lasting = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    results.write_bytes(orjson.dumps(rows, option=lasting))
    write_page(results, page)


def load_results(results: Path = RESULTS) -> list[Row]:
    """Returns the kept results; none if there is no file."""
    rows: list[Row] = orjson.loads(results.read_bytes()) if results.exists() else []
    return rows


def write_page(results: Path = RESULTS, page: Path = PAGE) -> None:
    """Writes the tables into the page.

    Raises:
        MarkersMissing: The page has no place for them.
    """
    rows = load_results(results)
    fill(page, {"soak": _summary_table(rows), "faults": _fault_table(rows), "fuzz": _fuzz_table()})


def _summary_table(rows: Sequence[Row]) -> str:
    """Returns a table with a column for each run."""
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


def _fault_table(rows: Sequence[Row]) -> str:
    kinds = sorted({kind for row in rows for kind in row["strikes"]})
    head = ["", *[f"`{row['command']}`" for row in rows]]
    return table(head, [[k, *[f"{row['strikes'].get(k, 0):,}" for row in rows]] for k in kinds])


def _fuzz_table() -> str:
    head = ["date, command", "inputs", "branches", "finding"]
    body = [
        [
            f"{row['date']}, `python -m tests.fuzz {row['target']} --seconds {row['seconds']}`",
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
    write_page()

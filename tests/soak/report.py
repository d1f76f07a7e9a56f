"""A result as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from rich.table import Table

from tests.soak.result import Result

_MOST_MESSAGES = 14


def table(result: Result) -> Table:
    """The result as a table of two columns."""
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
        "all strikes": _counts(result.strikes),
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

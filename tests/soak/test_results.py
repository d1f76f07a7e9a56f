"""The results: what makes a run a failure, and the page that shows the kept ones."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.soak import results
from tests.soak.monitor import Footprint
from tests.soak.reconciliation import ReconciliationReport
from tests.soak.results import Result

GOOD = Result(
    date="2026-01-31",
    command="python -m tests.soak --minutes 1",
    python="3.11.7",
    cores=2,
    planned=100,
    load_seconds=10.0,
    rest_seconds=11.0,
    gave_up=False,
    strikes={"kill receive": 2, "kill carrier": 1, "AEP is slow": 4},
    account=ReconciliationReport(sent=100, told=100, held=98, dead=2, copies=2),
    answers={"200": 100},
    aep_answers={"207": 3},
    tokens=2,
    messages={},
    memory={"receive": Footprint(60.0, 58.0, 59.0, 100, 59 / 58)},
    replaced=0,
    leaks=(),
    tracebacks=(),
)


def reported(**changes: Any) -> Result:
    """Returns the good run with another account."""
    return replace(GOOD, account=replace(GOOD.account, **changes))


def test_a_good_run() -> None:
    """Copies with the same id and dead letters with a cause break no promise."""
    assert GOOD.broken == []
    assert (GOOD.rate, GOOD.kills, GOOD.copies_share) == (10.0, 3, 0.02)


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (reported(lost=("a", "b")), "2 lost: a"),
        (reported(causeless={"a": "poison"}), "1 dead without cause: a (poison)"),
        (reported(strangers=("a",)), "1 under an id that was never sent: a"),
        (reported(altered=("a",)), "1 with something else in it than was sent: a"),
        (reported(unanswered=1), "1 webhooks never got a 2xx"),
        (replace(GOOD, planned=101), "1 webhooks never sent"),
        (replace(GOOD, leaks=("x",)), "1 lines with a secret or personal data: x"),
        (replace(GOOD, tracebacks=("x",)), "1 tracebacks: x"),
        (
            replace(GOOD, memory={"deliver": Footprint(90.0, 60.0, 80.0, 100, 80 / 60)}),
            "1 functions whose memory grows: deliver (60 to 80 MB)",
        ),
        (
            replace(GOOD, memory={"deliver": Footprint(600.0, 60.0, 60.0, 100, 1.0)}),
            "1 functions that took more than 512 MB: deliver (600 MB)",
        ),
        (replace(GOOD, replaced=2), "2 workers ended although nobody had killed them"),
        (replace(GOOD, gave_up=True), "it did not come to its end: see what the functions logged"),
    ],
)
def test_a_broken_promise(result: Result, problem: str) -> None:
    """Each broken promise is named, with an example."""
    assert result.broken == [problem]


def test_the_page_shows_what_is_kept(tmp_path: Path) -> None:
    """The tables of `docs/reliability.md` come from the results in the repository."""
    copy = tmp_path / "reliability.md"
    copy.write_text(results.PAGE.read_text("utf-8"), "utf-8")
    results.write_page(page=copy)
    assert copy.read_text("utf-8") == results.PAGE.read_text("utf-8")


def test_a_result_replaces_the_one_before(tmp_path: Path) -> None:
    """Of each command the last result is kept, the shortest run first, and shown."""
    kept, copy = tmp_path / "results.json", tmp_path / "reliability.md"
    copy.write_text(results.PAGE.read_text("utf-8"), "utf-8")
    long = replace(GOOD, command="python -m tests.soak --minutes 10", planned=1000)
    for result in (long, GOOD, replace(GOOD, tokens=9)):
        results.record_result(asdict(result), kept, copy)
    assert [(row["command"], row["tokens"]) for row in results.load_results(kept)] == [
        ("python -m tests.soak --minutes 1", 9),
        ("python -m tests.soak --minutes 10", 2),
    ]
    text = copy.read_text("utf-8")
    assert "| kills | 3 | 3 |" in text
    assert "| **told accepted, and lost** | **0** | **0** |" in text
    assert "| AEP is slow | 4 | 4 |" in text

"""What a run finds: in the reconciliation, in memory and in log lines; and its results."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.cases import Case, cases
from tests.soak import results
from tests.soak.monitor import Footprint, LogScanner, MemoryMonitor
from tests.soak.reconciliation import Reconciliation, ReconciliationReport
from tests.soak.results import Result

AS_SENT, ALTERED = b"as sent", b"altered"


def reconcile(calls: list[list[str]]) -> Reconciliation:
    """Returns a reconciliation that has recorded the calls of a table, in order."""
    found = Reconciliation()
    for what, event_id, *rest in calls:
        match what:
            case "sent":
                found.sent(event_id, AS_SENT, *rest)
            case "told":
                found.told(event_id)
            case "delivered" | "delivered altered":
                found.delivered(event_id, AS_SENT if what == "delivered" else ALTERED)
            case "dead-lettered" | "dead-lettered altered":
                fingerprint = AS_SENT if what == "dead-lettered" else ALTERED
                found.dead_lettered(event_id, fingerprint, *rest)
            case _:
                pytest.fail(f"the table says {what!r}")
    return found


@pytest.mark.parametrize("case", cases("soak_accounts"))
def test_the_report(case: Case) -> None:
    """It shows what is lost, dead without a cause, foreign or altered, and nothing else."""
    reconciliation = reconcile(case["calls"])
    expected: dict[str, Any] = {
        name: tuple(of) if isinstance(of, list) else of for name, of in case["report"].items()
    }
    assert reconciliation.report() == ReconciliationReport(**expected)
    # The count of open events, kept all along, is that of the lost ones in the end.
    assert reconciliation.open == len(reconciliation.report().lost)


def test_copies_are_no_progress() -> None:
    """Copies are counted, and are no progress."""
    once = [["sent", "a"], ["told", "a"], ["delivered", "a"]]
    assert reconcile(once).progress == reconcile(once * 2).progress == (1, 1, 1, 0)
    assert (reconcile(once).copies, reconcile(once * 2).copies) == (0, 1)


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

"""The ledger: what it is told of, and what does not add up."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from tests.cases import Case, cases
from tests.soak.reconciliation import Reconciliation, ReconciliationReport

NOTHING = ReconciliationReport(
    sent=0,
    told=0,
    unanswered=0,
    held=0,
    dead=0,
    copies=0,
    dead_copies=0,
    lost=(),
    causeless={},
    strangers=(),
    altered=(),
)


AS_SENT, ALTERED = b"as sent", b"altered"


def tell(ledger: Reconciliation, told: list[list[str]]) -> None:
    """Tells a ledger what a table says, in its order."""
    for what, event_id, *rest in told:
        match what:
            case "sent":
                ledger.sent(event_id, AS_SENT, *rest)
            case "told":
                ledger.told(event_id)
            case "held" | "held altered":
                ledger.held(event_id, AS_SENT if what == "held" else ALTERED)
            case "buried" | "buried altered":
                ledger.buried(event_id, AS_SENT if what == "buried" else ALTERED, *rest)
            case _:
                pytest.fail(f"the table says {what!r}")


@pytest.mark.parametrize("case", cases("soak_accounts"))
def test_the_account(case: Case) -> None:
    """The account says what is lost, dead without cause, foreign or altered, and nothing else."""
    ledger = Reconciliation()
    tell(ledger, case["told"])
    account = asdict(ledger.account())
    said = {name: list(of) if isinstance(of, tuple) else of for name, of in account.items()}
    nothing = {n: list(of) if isinstance(of, tuple) else of for n, of in asdict(NOTHING).items()}
    assert said == {**nothing, **case["account"]}


@pytest.mark.parametrize("case", cases("soak_accounts"))
def test_what_is_open_is_lost_in_the_end(case: Case) -> None:
    """The number of open events, kept as it goes, is that of the lost ones when it is counted."""
    ledger = Reconciliation()
    tell(ledger, case["told"])
    assert ledger.open == len(ledger.account().lost)


def test_copies_are_no_progress() -> None:
    """Copies are counted, and bring no event any further."""
    ledger = Reconciliation()
    tell(ledger, [["sent", "a"], ["told", "a"], ["held", "a"]])
    before = ledger.progress
    tell(ledger, [["held", "a"], ["sent", "a"], ["told", "a"]])
    assert ledger.progress == before == (1, 1, 1, 0)
    assert ledger.copies == 1

"""The reconciliation: what it records, and the discrepancies that it finds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cases import Case, cases
from tests.soak.reconciliation import Reconciliation, ReconciliationReport

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

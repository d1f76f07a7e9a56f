"""What AEP says of a wrong setting, told apart from what it says of an event."""

from __future__ import annotations

import orjson
import pytest

from pendo_aep.configuration_errors import advice, is_configuration_error, without_values
from tests.cases import Case, cases
from tests.webhooks import COMMENT, VISITOR


@pytest.mark.parametrize("case", cases("configuration_errors"))
def test_texts(case: Case) -> None:
    """A text about a setting names it in the advice; a text about an event is none."""
    assert is_configuration_error(case["said"]) is (case["setting"] is not None)
    assert (case["setting"] or "AEP refuses every event") in advice(400, case["said"])


@pytest.mark.parametrize(
    ("status", "named"), [(401, "AEP_CLIENT_SECRET"), (403, "rights"), (404, "AEP_ENDPOINT")]
)
def test_statuses(status: int, named: str) -> None:
    """Where AEP says nothing that is known, its status names the settings."""
    assert named in advice(status, "")


def test_values_of_the_event_are_masked() -> None:
    """What AEP quotes of an event does not reach the log; its own words do."""
    event = {"visitorId": VISITOR, "nps": {"rating": 42, "reason": COMMENT}, "list": [{"a": 4711}]}
    said = f"'{VISITOR}' and \"{COMMENT}\" and 4711: expected type: Number, {VISITOR}."

    for message in (event, {"header": {"x": "expected"}, "body": {"xdmEntity": event}}):
        masked = without_values(said, orjson.dumps(message))
        assert masked == "'...' and \"... ... of a ...\" and ...: expected type: Number, ...."

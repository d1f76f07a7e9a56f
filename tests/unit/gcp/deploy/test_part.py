"""What counts as a difference, so that nothing is changed that is right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pendo_aep.gcp.deploy.part import Field, includes
from tests.cases import Case

CASES = json.loads(Path(__file__).with_name("data").joinpath("included.json").read_text("utf-8"))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in CASES])
def test_google_may_say_the_same_in_another_way(case: Case) -> None:
    """What is left out, added, or written as text is no difference; another value is one."""
    assert includes(case["seen"], case["wanted"]) is case["is_right"]


def test_a_field_is_looked_for_at_its_path() -> None:
    """A path that ends early shows nothing."""
    field = Field(("retryPolicy", "minimumBackoff"), "10s")

    assert field.is_right({"retryPolicy": {"minimumBackoff": "10s"}})
    assert not field.is_right({"retryPolicy": "10s"})
    assert not field.is_right({})

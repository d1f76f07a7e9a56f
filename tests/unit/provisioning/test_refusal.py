"""Refusals in all the shapes that AEP has for them: the cause, what AEP said, the next step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pendo_aep.provisioning.permission import Permission
from pendo_aep.provisioning.refusal import explain, read_problem

TABLE = Path(__file__).with_name("refusals.json")
ROWS: list[dict[str, Any]] = json.loads(TABLE.read_text("utf-8"))


@pytest.mark.parametrize("row", ROWS, ids=[row["case"] for row in ROWS])
def test_a_refusal_says_what_to_do(row: dict[str, Any]) -> None:
    """The text has the action, the cause, what AEP said and what to do next, in one line."""
    body = row.get("text") or json.dumps(row["body"])

    text = explain(
        row["status"],
        read_problem(body.encode()),
        "create the schema 'x'",
        Permission.MANAGE_SCHEMAS,
        "dev",
    )

    assert text.startswith("create the schema 'x': ")
    assert [said for said in row["says"] if said not in text] == []
    assert text.isprintable()


def test_a_long_text_is_cut() -> None:
    """AEP may answer with pages; a line of a terminal has an end."""
    assert len(read_problem(json.dumps({"detail": "x" * 5000}).encode()).detail) == 400

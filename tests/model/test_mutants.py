"""The planted bugs, by which the models show that they can fail."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local.functions import PROJECT
from tests.cases import Case, cases, table
from tests.model.mutants import is_found, mutate


@pytest.mark.parametrize("case", cases("mutants"))
def test_a_bug_can_be_planted(case: Case, tmp_path: Path) -> None:
    """Each row of the table changes the code as it is now, and leaves it readable to Python."""
    shutil.copytree(PROJECT / "pendo_aep", tmp_path / "pendo_aep")
    mutate(case, tmp_path)
    compile((tmp_path / case["file"]).read_bytes(), case["file"], "exec")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["results reversed", "deliver: ack of a retry"])
def test_a_planted_bug_is_found(name: str) -> None:
    """One bug of each model; `python -m tests.model.mutants` tries them all."""
    (case,) = [row for row in table("mutants") if row["case"] == name]
    assert is_found(case)

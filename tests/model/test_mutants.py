"""The planted bugs, which show that the models can fail."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local.functions import PROJECT
from tests.cases import Case, cases, table
from tests.model.mutants import is_found, mutate, targets


@pytest.mark.parametrize("case", cases("mutants"))
def test_a_bug_can_be_planted(case: Case, tmp_path: Path) -> None:
    """Each row of the table applies to the code as it is now, and leaves valid Python."""
    copy = tmp_path / case["file"]
    copy.parent.mkdir(parents=True)
    shutil.copy2(PROJECT / case["file"], copy)
    mutate(case, tmp_path)
    compile(copy.read_bytes(), case["file"], "exec")


@pytest.mark.parametrize("case", cases("mutants"))
def test_the_tests_of_a_row_exist(case: Case) -> None:
    """Each row names existing tests."""
    for target in targets(case):
        if not target.startswith("--"):
            file, _, test = target.partition("::")
            assert f"def {test}" in (PROJECT / file).read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "results reversed",
        "deliver: ack of a retry",
        "drain: ack though the letter is not stored",
        "token: a late rejection hits the new one",
        "push: attributes are dropped",
    ],
)
def test_a_planted_bug_is_found(name: str) -> None:
    """One bug for each model, and one for a test; `python -m tests.model.mutants` tries all."""
    (case,) = [row for row in table("mutants") if row["case"] == name]
    assert is_found(case)

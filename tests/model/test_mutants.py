"""The planted bugs, which show that the models can fail."""

from __future__ import annotations

import pytest

from local.functions import PROJECT
from tests.cases import Case, cases, table
from tests.model.mutants import is_found, mutated, targets


@pytest.mark.parametrize("case", cases("mutants"))
def test_a_bug_can_be_planted(case: Case) -> None:
    """Each row applies to the code as it is now, leaves valid Python, and names existing tests."""
    compile(mutated(case), case["file"], "exec")
    for target in targets(case):
        file, _, test = target.partition("::")
        assert f"def {test}" in (PROJECT / file).read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "results reversed",
        "deliver: ack though the letter is not stored",
        "drain: refused counted as delivered",
        "token: all who wait fetch one",
        "secret: shown by repr",
    ],
)
def test_a_planted_bug_is_found(name: str) -> None:
    """One bug for each model, and one for a test, of those that are found soonest.

    `python -m tests.model.mutants` tries all.
    """
    (case,) = [row for row in table("mutants") if row["case"] == name]
    assert is_found(case)


@pytest.mark.slow
def test_without_a_bug() -> None:
    """A model that is imported anew fails because of a bug, and for no other reason."""
    (case,) = [row for row in table("mutants") if row["case"] == "results reversed"]
    assert not is_found({**case, "new": case["old"]}, max_examples=20)

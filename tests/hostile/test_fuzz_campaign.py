"""The fuzzer itself: a bug that is planted in a copy of the project is found, and reported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cases import Case, cases
from tests.fuzz.record import read, record
from tests.fuzz.tables import PROJECT
from tests.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet

_ITS_SEEDS = (
    "from tests.fuzz.targets import TARGETS as T; [T['{0}'].check(s) for s in T['{0}'].seeds()]"
)


def found_by(finder: str) -> list[ParameterSet]:
    """The planted bugs that this is said to find."""
    return [case for case in cases("hostile/planted") if rows_of(case)["found_by"] == finder]


def rows_of(case: ParameterSet) -> Case:
    """The row that a parameter is made of."""
    row = case.values[0]
    assert isinstance(row, dict)
    return row


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what a run needs of the project."""
    for folder in ("pendo_aep", "fuzz", "local", "tests/data", "sample_events"):
        ignored = shutil.ignore_patterns("__pycache__", "results.json")
        shutil.copytree(PROJECT / folder, tmp_path / folder, ignore=ignored)
    return tmp_path


def plant(tree: Path, case: Case) -> None:
    """Puts the bug into the copy."""
    path = tree / "pendo_aep" / case["file"]
    text = path.read_text("utf-8")
    assert text.count(case["old"]) == 1, "the table no longer fits the code"
    path.write_text(text.replace(case["old"], case["new"]), "utf-8")


def python(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in the copy, with all that it says."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("case", found_by("its seeds"))
def test_a_planted_bug_breaks_its_target(tree: Path, case: Case) -> None:
    """Each promise of a target can be broken, and then its seeds alone tell."""
    plant(tree, case)
    ended = python(tree, "-c", _ITS_SEEDS.format(case["target"]))
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr


@pytest.mark.slow
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this machine")
@pytest.mark.parametrize("case", found_by("the fuzzer"))
def test_a_planted_bug_is_found(tree: Path, case: Case) -> None:
    """What no seed has is found by the fuzzer: exit 1, the input kept, the figures recorded."""
    plant(tree, case)
    ended = python(tree, "-m", "fuzz", case["target"], "--seconds", "120", "--record")
    assert ended.returncode == 1, ended.stderr
    (row,) = json.loads((tree / "fuzz" / "results.json").read_text("utf-8"))
    assert row["target"] == case["target"]
    assert row["inputs"] > 0
    finding = (tree / row["finding"]).read_bytes()
    assert str(row["finding"]) in ended.stdout
    again = f"from tests.fuzz.targets import TARGETS as T; T['{case['target']}'].check({finding!r})"
    assert python(tree, "-c", again).returncode == 1
    assert python(PROJECT, "-c", again).returncode == 0  # it is the bug that is found, and no other


@pytest.mark.slow
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this machine")
def test_without_a_bug(tree: Path) -> None:
    """A run that finds nothing says how many inputs that was, of every target, and exits 0."""
    ended = python(tree, "-m", "fuzz", "all", "--seconds", "1", "--jobs", "2", "--record")
    assert ended.returncode == 0, ended.stdout
    rows = json.loads((tree / "fuzz" / "results.json").read_text("utf-8"))
    assert [row["target"] for row in rows] == sorted(TARGETS)
    for row in rows:
        assert row["inputs"] > 20
        assert f"{row['inputs']:,}" in ended.stdout
        assert row["finding"] is None


def test_figures_are_replaced_by_target(tmp_path: Path) -> None:
    """The file holds the last run of each target, whatever else has run before."""
    path = tmp_path / "results.json"
    for target, inputs in (("push", 1), ("body", 2), ("push", 3)):
        record({"target": target, "inputs": inputs}, path)
    assert read(path) == [{"target": "body", "inputs": 2}, {"target": "push", "inputs": 3}]

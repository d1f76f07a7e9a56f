"""The fuzzer's targets on their seeds and on random bytes, and the bugs that they must find."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import Case, cases, randomly
from tests.fuzz.campaign import read_results, record_result
from tests.fuzz.common import PROJECT
from tests.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet

_BYTES = st.binary(max_size=200)
_CHECK_SEEDS = (
    "from tests.fuzz.targets import TARGETS as T; [T['{0}'].check(s) for s in T['{0}'].seeds()]"
)


@pytest.mark.parametrize("target", TARGETS)
def test_seeds(target: str) -> None:
    """The seeds of a target break no promise, and there are more than a few."""
    seeds = list(TARGETS[target].seeds())
    for seed in seeds:
        TARGETS[target].check(seed)
    assert len(seeds) > 20


@pytest.mark.parametrize("target", TARGETS)
@randomly
@given(data=st.data())
def test_seeds_cut_and_joined(target: str, data: st.DataObject) -> None:
    """Neither does what is made of two seeds and of random bytes."""
    seeds = st.sampled_from(list(TARGETS[target].seeds())) | _BYTES
    first, second = data.draw(seeds), data.draw(seeds)
    cut = data.draw(st.integers(0, len(first)))
    TARGETS[target].check(first[:cut] + data.draw(_BYTES) + second[cut:])


def found_by(finder: str) -> list[ParameterSet]:
    """Returns the planted bugs that this finder must find."""
    return [
        case
        for case in cases("hostile/planted")
        if isinstance(case.values[0], dict) and case.values[0]["found_by"] == finder
    ]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Returns a copy of what a run needs of the project."""
    for folder in ("pendo_aep", "tests/fuzz", "local", "tests/data", "sample_events"):
        ignored = shutil.ignore_patterns("__pycache__", "results.json")
        shutil.copytree(PROJECT / folder, tmp_path / folder, ignore=ignored)
    return tmp_path


def plant(tree: Path, case: Case) -> None:
    """Plants the bug in the copy."""
    path = tree / "pendo_aep" / case["file"]
    text = path.read_text("utf-8")
    assert text.count(case["old"]) == 1, "the table no longer fits the code"
    path.write_text(text.replace(case["old"], case["new"]), "utf-8")


def python(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in the copy, and returns its exit code and output."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


@pytest.mark.process
def test_the_copy_passes(tree: Path) -> None:
    """Without a planted bug, the seeds of every target pass in the copy."""
    for target in TARGETS:
        ended = python(tree, "-c", _CHECK_SEEDS.format(target))
        assert ended.returncode == 0, ended.stderr


@pytest.mark.process
@pytest.mark.parametrize("case", found_by("its seeds"))
def test_a_planted_bug_breaks_its_target(tree: Path, case: Case) -> None:
    """Each promise of a target can be broken, and then its seeds alone show it."""
    plant(tree, case)
    ended = python(tree, "-c", _CHECK_SEEDS.format(case["target"]))
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr


@pytest.mark.slow
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this machine")
@pytest.mark.parametrize("case", found_by("the fuzzer"))
def test_a_planted_bug_is_found(tree: Path, case: Case) -> None:
    """The fuzzer finds it, exits 1, keeps the input and records the figures."""
    plant(tree, case)
    ended = python(tree, "-m", "tests.fuzz", case["target"], "--seconds", "120", "--record")
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr, ended.stderr
    (row,) = json.loads((tree / "tests" / "fuzz" / "results.json").read_text("utf-8"))
    assert row["target"] == case["target"]
    assert row["inputs"] > 0
    finding = (tree / row["finding"]).read_bytes()
    assert str(row["finding"]) in ended.stdout
    again = f"from tests.fuzz.targets import TARGETS as T; T['{case['target']}'].check({finding!r})"
    assert python(tree, "-c", again).returncode == 1
    assert python(PROJECT, "-c", again).returncode == 0  # the finding is the planted bug


@pytest.mark.slow
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this machine")
def test_without_a_bug(tree: Path) -> None:
    """A run that finds nothing prints the number of inputs of each target, and exits 0."""
    ended = python(tree, "-m", "tests.fuzz", "all", "--seconds", "1", "--jobs", "2", "--record")
    assert ended.returncode == 0, ended.stdout
    rows = json.loads((tree / "tests" / "fuzz" / "results.json").read_text("utf-8"))
    assert [row["target"] for row in rows] == sorted(TARGETS)
    for row in rows:
        assert row["inputs"] > 20
        assert f"{row['inputs']:,}" in ended.stdout
        assert row["finding"] is None


def test_figures_are_replaced_by_target(tmp_path: Path) -> None:
    """The file holds the last run of each target."""
    path = tmp_path / "results.json"
    for target, inputs in (("push", 1), ("body", 2), ("push", 3)):
        record_result({"target": target, "inputs": inputs}, path)
    assert read_results(path) == [{"target": "body", "inputs": 2}, {"target": "push", "inputs": 3}]

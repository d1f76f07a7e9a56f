"""The fuzzer's targets on their seeds and on random bytes, and the bugs that they must find."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.functions import PROJECT
from tests.cases import Case, randomly, rows, table
from tests.fuzz.campaign import read_results, record_result
from tests.fuzz.targets import TARGETS
from tests.model.mutants import copy_of, mutated, planted

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet

_BYTES = st.binary(max_size=200)


@cache
def seeds_of(target: str) -> list[bytes]:
    """Returns the seeds of a target, some of them of 500 kB, made once."""
    return list(TARGETS[target].seeds())


@pytest.mark.parametrize("target", TARGETS)
def test_seeds(target: str) -> None:
    """The seeds of a target break no promise, and there are more than a few."""
    for seed in seeds_of(target):
        TARGETS[target].check(seed)
    assert len(seeds_of(target)) > 20


@pytest.mark.parametrize("target", TARGETS)
@randomly
@given(data=st.data())
def test_seeds_cut_and_joined(target: str, data: st.DataObject) -> None:
    """Neither does what is made of two seeds and of random bytes."""
    seeds = st.sampled_from(seeds_of(target)) | _BYTES
    first, second = data.draw(seeds), data.draw(seeds)
    cut = data.draw(st.integers(0, len(first)))
    TARGETS[target].check(first[:cut] + data.draw(_BYTES) + second[cut:])


def found_by(finder: str) -> list[ParameterSet]:
    """Returns the planted bugs that this finder must find."""
    return rows([row for row in table("hostile/planted") if row["found_by"] == finder])


def check(target: str, *inputs: bytes) -> None:
    """Checks a target, imported anew where a bug is planted, on these inputs or on its seeds."""
    found = import_module("tests.fuzz.targets").TARGETS[target]
    for data in inputs or found.seeds():
        found.check(data)


def test_targets_imported_anew_pass() -> None:
    """Without a bug, the seeds of every target pass where bugs are planted."""
    (case, *_) = table("hostile/planted")
    with planted({**case, "new": case["old"]}):
        for target in TARGETS:
            check(target)


@pytest.mark.parametrize("case", found_by("its seeds"))
def test_a_planted_bug_breaks_its_target(case: Case) -> None:
    """Each promise of a target can be broken, and then its seeds alone show it."""
    with planted(case), pytest.raises(Exception):  # noqa: B017, PT011 (any would be a 500)
        check(case["target"])


@pytest.fixture
def tree() -> Iterator[Path]:
    """A copy of the project without the figures of earlier runs."""
    with copy_of(PROJECT) as copy:
        (copy / "tests" / "fuzz" / "results.json").unlink()
        yield copy


def fuzz(tree: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[Any]]:
    """Runs the fuzzer in the copy, and returns how it ended and the figures that it recorded."""
    command = [sys.executable, "-m", "tests.fuzz", *arguments, "--record"]
    ended = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    return ended, read_results(tree / "tests" / "fuzz" / "results.json")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this machine")
@pytest.mark.parametrize("case", found_by("the fuzzer"))
def test_a_planted_bug_is_found(tree: Path, case: Case) -> None:
    """The fuzzer finds it, exits 1, keeps the input and records the figures."""
    (tree / case["file"]).write_text(mutated(case), "utf-8")
    ended, figures = fuzz(tree, case["target"], "--seconds", "120")
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr, ended.stderr
    (row,) = figures
    assert row["target"] == case["target"]
    assert row["inputs"] > 0
    finding = (tree / row["finding"]).read_bytes()
    assert str(row["finding"]) in ended.stdout
    check(case["target"], finding)  # passes, because the finding is the planted bug
    with planted(case), pytest.raises(Exception):  # noqa: B017, PT011 (any would be a 500)
        check(case["target"], finding)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this machine")
def test_without_a_bug(tree: Path) -> None:
    """A run that finds nothing prints the number of inputs of each target, and exits 0."""
    ended, rows = fuzz(tree, "all", "--seconds", "1", "--jobs", "2")
    assert ended.returncode == 0, ended.stdout
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

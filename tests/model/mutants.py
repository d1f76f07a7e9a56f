"""Plants bugs in a copy of the project, and checks that each is found.

`python -m tests.model.mutants [WORD]` tries those that have the word in their names, or all, which
takes about five minutes. It prints which are not found, and exits 1 if there are any.

Each row of `tests/data/mutants.json` is a bug that somebody might write: `old` stands once in
`file`, and `new` takes its place. Then its `model` (`tests/model/test_MODEL.py`) must fail, or one
of its `tests`, which are targets of pytest. All of them pass on a copy without a bug.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from local.functions import PROJECT
from tests.cases import Case, table

_COPIED: Final = ("main.py", "pyproject.toml", "pendo_aep", "local", "tests", "sample_events")
_PASSED, _FAILED = 0, 1  # exit codes of pytest; others say that it could not run the tests


def mutate(case: Case, root: Path) -> None:
    """Makes the change of a row in the project at `root`.

    Raises:
        LookupError: the text to change is not there, or there more than once.
    """
    path = root / case["file"]
    text = path.read_text("utf-8")
    if text.count(case["old"]) != 1:
        raise LookupError(f"{case['file']} does not have it once: {case['old']!r}")
    path.write_text(text.replace(case["old"], case["new"]), "utf-8")


def targets(case: Case) -> list[str]:
    """What pytest runs to find the bug of a row."""
    if "model" in case:
        # The fixtures of all other tests take as long to import as a model takes to fail.
        options = ["--confcutdir=tests/model", "--hypothesis-profile=first-example"]
        return [f"tests/model/test_{case['model']}.py", *options]
    return list(case["tests"])


@contextmanager
def copy_of(project: Path) -> Iterator[Path]:
    """A copy of what the tests need."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for name in _COPIED:
            copy = shutil.copytree if (project / name).is_dir() else shutil.copy2
            copy(project / name, root / name)
        yield root


def is_found(case: Case, project: Path = PROJECT) -> bool:
    """Do the tests of a row fail on a copy that has its bug?"""
    with copy_of(project) as root:
        mutate(case, root)
        return _run(targets(case), root) == _FAILED


def all_pass(cases: Sequence[Case], project: Path) -> bool:
    """Do the tests of these rows pass in a project without a bug?"""
    # The models with as many examples as usual: the first that fails will never come.
    chosen = {name for case in cases for name in targets(case) if not name.startswith("--")}
    return _run(sorted(chosen), project) == _PASSED


def _run(arguments: Sequence[str], root: Path) -> int:
    # Schemathesis is slow to load, and no row needs it.
    options = ["-qx", "-p", "no:cacheprovider", "-p", "no:schemathesis"]
    command = [sys.executable, "-m", "pytest", *options, *arguments]
    # Compiled once, in the project that is copied: that takes longer than most of the tests.
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        command, cwd=root, env=environ, capture_output=True, check=False
    ).returncode


def main() -> int:
    """Tries those whose name has the word in it, or all."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = [case for case in table("mutants") if word in case["case"]]
    with copy_of(PROJECT) as project, ThreadPoolExecutor(os.cpu_count()) as pool:
        if not all_pass(chosen, project):
            print("the tests fail without any bug")  # noqa: T201 (a command)
            return 1
        missed = 0
        found = pool.map(lambda case: is_found(case, project), chosen)
        for case, is_one_found in zip(chosen, found, strict=True):
            missed += not is_one_found
            print(f"{'found' if is_one_found else 'MISSED':8}{case['case']}", flush=True)  # noqa: T201
    print(f"{len(chosen) - missed} of {len(chosen)} found")  # noqa: T201
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

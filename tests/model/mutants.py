"""Plants bugs in a copy of the project, and checks that the tests find each.

`python -m tests.model.mutants [WORD]` tries those with the word in their names, or all, which
takes about five minutes. It prints whether each is found, and exits 1 if one is not.

Each row of `tests/data/mutants.json` is a plausible bug: `old` occurs once in
`file`, and `new` replaces it. Then its `model` (`tests/model/test_MODEL.py`) must fail, or one
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

_FOLDERS: Final = ("pendo_aep", "local", "tests", "benchmarks", "sample_events")
_COPIED: Final = ("main.py", "pyproject.toml", *_FOLDERS)
_PASSED, _FAILED = 0, 1  # exit codes of pytest; others say that it could not run the tests


def mutate(case: Case, root: Path) -> None:
    """Plants the bug of a row in the project at `root`.

    Raises:
        LookupError: The text to replace does not occur, or more than once.
    """
    path = root / case["file"]
    text = path.read_text("utf-8")
    if text.count(case["old"]) != 1:
        raise LookupError(f"{case['file']} does not have it once: {case['old']!r}")
    path.write_text(text.replace(case["old"], case["new"]), "utf-8")


def targets(case: Case) -> list[str]:
    """Returns what pytest runs to find the bug of a row."""
    if "model" in case:
        # Importing the fixtures of the other tests takes as long as a model takes to fail.
        options = ["--confcutdir=tests/model", "--hypothesis-profile=first-example"]
        return [f"tests/model/test_{case['model']}.py", *options]
    return list(case["tests"])


@contextmanager
def copy_of(project: Path) -> Iterator[Path]:
    """Copies what the tests need."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for name in _COPIED:
            copy = shutil.copytree if (project / name).is_dir() else shutil.copy2
            copy(project / name, root / name)
        yield root


def is_found(case: Case, project: Path = PROJECT) -> bool:
    """Returns whether the tests of a row fail on a copy with its bug."""
    with copy_of(project) as root:
        mutate(case, root)
        return _run(targets(case), root) == _FAILED


def all_pass(cases: Sequence[Case], project: Path) -> bool:
    """Returns whether the tests of these rows pass in a project without a bug."""
    # The models with the usual number of examples, because none fails.
    chosen = {name for case in cases for name in targets(case) if not name.startswith("--")}
    return _run(sorted(chosen), project) == _PASSED


def _run(arguments: Sequence[str], root: Path) -> int:
    # Schemathesis is slow to load, and no row needs it.
    options = ["-qx", "-p", "no:cacheprovider", "-p", "no:schemathesis"]
    command = [sys.executable, "-m", "pytest", *options, *arguments]
    # Compiled once, in the project that is copied: that takes longer than most tests.
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        command, cwd=root, env=environ, capture_output=True, check=False
    ).returncode


def main() -> int:
    """Tries the bugs with the word in their names, or all."""
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

"""Breaks a copy of the project in one way after the other: `python -m tests.model.mutants [WORD]`.

Each row of `tests/data/mutants.json` is a bug that somebody might write; its model must find it.
Prints which do not, and exits 1 if there are any. All of them take about three minutes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from local.functions import PROJECT
from tests.cases import Case, table

_COPIED: Final = ("pendo_aep", "local", "tests", "sample_events")


def mutate(case: Case, root: Path) -> None:
    """Makes the change of a row in the project at `root`."""
    path = root / case["file"]
    text = path.read_text("utf-8")
    if text.count(case["old"]) != 1:
        raise LookupError(f"{case['file']} does not have it once: {case['old']!r}")
    path.write_text(text.replace(case["old"], case["new"]), "utf-8")


def is_found(case: Case) -> bool:
    """Does the model of a row fail on a copy that has its bug?"""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for name in _COPIED:
            shutil.copytree(PROJECT / name, root / name)
        shutil.copy(PROJECT / "pyproject.toml", root)
        mutate(case, root)
        command = [sys.executable, "-m", "pytest", f"tests/model/test_{case['model']}.py"]
        command += ["-q", "-p", "no:cacheprovider", "--hypothesis-profile=first-example"]
        return subprocess.run(command, cwd=root, capture_output=True, check=False).returncode == 1


def main() -> int:
    """Tries those whose name has the word in it, or all."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = [case for case in table("mutants") if word in case["case"]]
    missed = 0
    for case in chosen:
        found = is_found(case)
        missed += not found
        print(f"{'found' if found else 'MISSED':8}{case['case']}", flush=True)  # noqa: T201
    print(f"{len(chosen) - missed} of {len(chosen)} found")  # noqa: T201 (a command)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Plants bugs in the code, and checks that the tests find each.

`python -m tests.model.mutants [WORD]` tries those with the word in their names, or all, which
takes some minutes. It prints whether each is found, and exits 1 if one is not.

Each row of `tests/data/mutants.json` is a plausible bug: `old` occurs once in
`file`, and `new` replaces it. Then its `model` (`tests/model/test_MODEL.py`) must fail, or one
of its `tests`, which are targets of pytest. All of them pass without a bug.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final
from unittest import TestResult

import pytest
from hypothesis import Phase, settings

from local.functions import PROJECT
from tests.cases import Case, table

_PACKAGES: Final = ("pendo_aep", "local", "tests", "benchmarks")
_COPIED: Final = ("main.py", "pyproject.toml", "sample_events", *_PACKAGES)
_PASSED, _FAILED = 0, 1  # exit codes of pytest; others say that it could not run the tests
_MAX_EXAMPLES: Final = 5000


def mutated(case: Case, root: Path = PROJECT) -> str:
    """Returns the text of a row's file with its bug.

    Raises:
        LookupError: The text to replace does not occur, or more than once.
    """
    text = root.joinpath(case["file"]).read_text("utf-8")
    if text.count(case["old"]) != 1:
        raise LookupError(f"{case['file']} does not have it once: {case['old']!r}")
    return text.replace(case["old"], case["new"])


@contextmanager
def planted(case: Case) -> Iterator[None]:
    """Plants the bug of a row in this process: what is imported inside has it, all else has not.

    That takes a fraction of a second, and a process on a copy of the project takes seconds. Only
    what imports the code and starts no process can be tested so.
    """
    path, text = PROJECT / case["file"], mutated(case)
    read_code = SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, name: str) -> CodeType | None:
        if Path(loader.path) == path:
            return compile(text, path, "exec", dont_inherit=True)
        return read_code(loader, name)

    without_bug = _take_modules()
    try:
        with pytest.MonkeyPatch.context() as patches:
            patches.setattr(SourceFileLoader, "get_code", get_code)
            yield
    finally:
        _take_modules()
        sys.modules.update(without_bug)


def _take_modules() -> dict[str, ModuleType]:
    """Takes the project's modules out of those that are imported."""
    names = [name for name in sys.modules if name.partition(".")[0] in _PACKAGES]
    return {name: sys.modules.pop(name) for name in names}


def targets(case: Case) -> list[str]:
    """Returns what pytest runs to find the bug of a row."""
    return [f"tests/model/test_{case['model']}.py"] if "model" in case else list(case["tests"])


@contextmanager
def copy_of(project: Path) -> Iterator[Path]:
    """Copies what the tests need."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for name in _COPIED:
            copy = shutil.copytree if (project / name).is_dir() else shutil.copy2
            copy(project / name, root / name)
        yield root


def is_found(case: Case, project: Path = PROJECT, max_examples: int = _MAX_EXAMPLES) -> bool:
    """Returns whether the model or the tests of a row fail with its bug."""
    if "model" in case:
        with planted(case):
            return _fails(case["model"], max_examples)
    with copy_of(project) as root:
        (root / case["file"]).write_text(mutated(case, root), "utf-8")
        return _run(targets(case), root) == _FAILED


def _fails(model: str, max_examples: int) -> bool:
    """Returns whether a model fails with the code that is imported now."""
    module = import_module(f"tests.model.test_{model}")
    (test,) = (of for name, of in vars(module).items() if name.startswith("Test"))
    # Some bugs show in one of hundreds of examples; finding the shortest takes minutes.
    test.settings = settings(
        test.settings, phases=[Phase.generate], max_examples=max_examples, database=None
    )
    result = TestResult()
    test().run(result)
    return not result.wasSuccessful()


def all_pass(cases: Sequence[Case], project: Path) -> bool:
    """Returns whether the tests of these rows pass in a project without a bug."""
    return _run(sorted({name for case in cases for name in targets(case)}), project) == _PASSED


def _run(arguments: Sequence[str], root: Path) -> int:
    # Schemathesis is slow to load, and no row needs it.
    options = ["-qx", "-p", "no:cacheprovider", "-p", "no:schemathesis"]
    command = [sys.executable, "-m", "pytest", *options, *arguments]
    # Compiled once, in the project that is copied: that takes longer than most tests.
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        command, cwd=root, env=environ, capture_output=True, check=False
    ).returncode


def _be_silent() -> None:
    """Drops what the code of a row prints in this process: its log lines and failures."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)


def main() -> int:
    """Tries the bugs with the word in their names, or all."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = [case for case in table("mutants") if word in case["case"]]
    if not chosen:
        print(f"no planted bug has {word!r} in its name")  # noqa: T201 (a command)
        return 1
    with copy_of(PROJECT) as project, ProcessPoolExecutor(initializer=_be_silent) as pool:
        if not all_pass(chosen, project):
            print("the tests fail without any bug")  # noqa: T201 (a command)
            return 1
        missed = 0
        found = pool.map(partial(is_found, project=project), chosen)
        for case, is_one_found in zip(chosen, found, strict=True):
            missed += not is_one_found
            print(f"{'found' if is_one_found else 'MISSED':8}{case['case']}", flush=True)  # noqa: T201
    print(f"{len(chosen) - missed} of {len(chosen)} found")  # noqa: T201
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

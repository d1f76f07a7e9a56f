"""Imports between the rooms of `pendo_aep` go one way, as the contracts in pyproject.toml say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.functions import PROJECT

_LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"
WRONG = [
    ("pendo_aep.pendo.signature", "pendo_aep.aep.auth"),  # from the source to the destination
    ("pendo_aep.aep.retry", "pendo_aep.pipeline.deliver"),  # upwards
    ("pendo_aep.event", "pendo_aep.pendo.webhook"),  # from the root into a room
    ("pendo_aep.pipeline.drain", "pendo_aep.app"),  # of the application
]


def lint(project: Path) -> subprocess.CompletedProcess[str]:
    """Runs import-linter in a folder that holds `pendo_aep` and pyproject.toml."""
    return subprocess.run(
        (sys.executable, "-c", _LINT, "--no-cache", "--no-logo"),
        cwd=project,
        check=False,
        capture_output=True,
        text=True,
    )


def test_imports_go_one_way() -> None:
    """Every import within `pendo_aep` keeps the contracts."""
    done = lint(PROJECT)
    assert done.returncode == 0, done.stdout


def test_a_wrong_import_is_found(tmp_path: Path) -> None:
    """An import against the direction breaks a contract, also inside a function."""
    shutil.copytree(PROJECT / "pendo_aep", tmp_path / "pendo_aep")
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    for module, imported in WRONG:
        path = tmp_path / f"{module.replace('.', '/')}.py"
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n\ndef planted() -> None:\n    import {imported}\n")

    done = lint(tmp_path)

    assert done.returncode == 1
    for module, imported in WRONG:
        assert f"{module} -> {imported}" in done.stdout


@pytest.mark.parametrize(("target", "most"), [("receive", 15), ("deliver", 16)])
def test_a_reader_opens_few_files(target: str, most: int) -> None:
    """A request passes few files on its way through the code: a reader can follow it."""
    ran = subprocess.run(
        (sys.executable, "-m", "tests.repository.files_of_a_request", target),
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    files = [line for line in ran.stderr.splitlines() if line.endswith(".py")]
    assert "main.py" in files
    assert len(files) <= most, files

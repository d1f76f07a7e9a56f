"""The recipe of `CONTRIBUTING.md` for a new field, done in a copy of the project."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.functions import PROJECT

_COPIED = ("pendo_aep", "local", "sample_events", "tests", "docs")
_FILES = ("main.py", "pyproject.toml", "CONTRIBUTING.md")
_TESTS = (
    "tests/unit/aep/test_mapping.py",
    "tests/unit/aep/test_format.py",
    "tests/platform/test_field_group.py",
    "tests/platform/test_mapping_docs.py",
    "tests/platform/test_raw_equals_xdm.py",
)


def python(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What Python says in the copy."""
    return subprocess.run(
        (sys.executable, *arguments), cwd=project, check=False, capture_output=True, text=True
    )


@pytest.mark.slow
def test_a_new_field_is_one_line_and_one_value(tmp_path: Path) -> None:
    """A line in the table and a value in a sample do; without the value, a test asks for it."""
    for folder in _COPIED:
        shutil.copytree(PROJECT / folder, tmp_path / folder)
    for file in _FILES:
        shutil.copy(PROJECT / file, tmp_path / file)
    recipe = (PROJECT / "CONTRIBUTING.md").read_text("utf-8")
    [line] = re.findall(r"^ *(Field\(.*\),)$", recipe, re.MULTILINE)
    table = tmp_path / "pendo_aep" / "aep" / "mapping.py"
    source = table.read_text("utf-8").rstrip()
    assert source.endswith("\n)")
    table.write_text(f"{source[:-1]}    {line}\n)\n", "utf-8")

    python(tmp_path, "-m", "pendo_aep.provisioning.mapping_docs")
    asked = python(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", *_TESTS)
    sample = tmp_path / "sample_events" / "track_event_received.xdm.json"
    entity = json.loads(sample.read_bytes())
    (own,) = (key for key in entity if key.startswith("_") and key != "_id")
    entity[own]["pendo"]["plan"] = "team"
    sample.write_text(json.dumps(entity, indent=2, ensure_ascii=False) + "\n", "utf-8")
    done = python(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", *_TESTS)

    assert asked.returncode == 1
    assert "track_event_received" in asked.stdout
    assert done.returncode == 0, done.stdout[-3000:]
    assert "_TENANT.pendo.plan" in (tmp_path / "docs" / "mapping.md").read_text("utf-8")

"""The recipe of `CONTRIBUTING.md` for a new field, followed in a copy of the project."""

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
    "tests/unit/provisioning/test_descriptors.py::test_every_own_field_has_a_description",
    "tests/unit/provisioning/test_schema.py",
    "tests/unit/provisioning/test_mapping_docs.py",
    "tests/unit/provisioning/test_raw_equals_xdm.py",
)
# They take most of the time and say nothing of this field: one changes a row itself, in a copy of
# its own, and one makes webhooks at random, which the samples stand for.
_LEFT_OUT = (
    "tests/unit/provisioning/test_mapping_docs.py::test_one_row_changes_everything",
    "tests/unit/provisioning/test_raw_equals_xdm.py::test_any_webhook",
)
_OF_THE_SAMPLE = "tests/unit/aep/test_format.py::test_every_sample"


def python(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in the copy."""
    return subprocess.run(
        (sys.executable, *arguments), cwd=project, check=False, capture_output=True, text=True
    )


@pytest.mark.slow
def test_a_new_field_is_one_line_and_one_value(tmp_path: Path) -> None:
    """A line, its text and a value in a sample suffice; without the value, a test fails."""
    for folder in _COPIED:
        shutil.copytree(PROJECT / folder, tmp_path / folder)
    for file in _FILES:
        shutil.copy(PROJECT / file, tmp_path / file)
    recipe = (PROJECT / "CONTRIBUTING.md").read_text("utf-8")
    [line] = re.findall(r"^ *(Field\(.*\),)$", recipe, re.MULTILINE)
    table = tmp_path / "pendo_aep" / "aep" / "mapping.py"
    start = "FIELDS: tuple[Field, ...] = (\n"
    before, after = table.read_text("utf-8").split(start)
    table.write_text(f"{before}{start}    {line}\n{after}", "utf-8")

    [text] = re.findall(r"^```toml\n(.*?)^```", recipe, re.MULTILINE | re.DOTALL)
    with (tmp_path / "pendo_aep" / "provisioning" / "field_texts.toml").open("a") as texts:
        texts.write(f"\n{text}")

    python(tmp_path, "-m", "pendo_aep.provisioning.mapping_docs")
    pytest_ = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
    without_value = python(tmp_path, *pytest_, _OF_THE_SAMPLE)
    sample = tmp_path / "sample_events" / "visitor_created.xdm.json"
    entity = json.loads(sample.read_bytes())
    (own,) = (key for key in entity if key.startswith("_") and key != "_id")
    entity[own]["pendo"]["browserVersion"] = entity["environment"]["browserDetails"]["version"]
    sample.write_text(json.dumps(entity, indent=2, ensure_ascii=False) + "\n", "utf-8")
    with_value = python(tmp_path, *pytest_, *_TESTS, *(f"--deselect={one}" for one in _LEFT_OUT))

    assert without_value.returncode == 1
    assert "visitor_created" in without_value.stdout
    assert with_value.returncode == 0, with_value.stdout[-3000:]
    assert "_TENANT.pendo.browserVersion" in (tmp_path / "docs" / "mapping.md").read_text("utf-8")

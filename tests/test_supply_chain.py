"""What the functions install: pinned, hashed, and with its terms listed."""

from __future__ import annotations

import re
import tomllib

from local.functions import PROJECT

REQUIREMENTS = (PROJECT / "requirements.txt").read_text("utf-8")
PINNED = dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", REQUIREMENTS, re.MULTILINE))


def test_everything_is_pinned_and_hashed() -> None:
    """Each line that names something names one version of it, and hashes of its files."""
    entries = re.findall(r"^[^\s#].*(?:\n +--hash.*)*", REQUIREMENTS, re.MULTILINE)

    assert len(entries) == len(PINNED) > 30
    assert all("--hash=sha256:" in entry for entry in entries)


def test_what_is_imported_is_pinned() -> None:
    """Each dependency of the project is in the file that the functions install."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]

    assert set(project["dependencies"]) <= PINNED.keys()


def test_licences_are_those_of_what_is_pinned() -> None:
    """The page names each at its version: `make licences` after `make lock`."""
    page = (PROJECT / "docs" / "licences.md").read_text("utf-8")
    rows = [[cell.strip() for cell in row.split("|")[1:3]] for row in page.splitlines()[2:]]

    assert {name.lower().replace("_", "-"): version for name, version in rows} == PINNED

"""A fresh clone and an empty home, for tests that follow the documents."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local.functions import PROJECT
from tests.repository.documents import files


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone of the project, with uncommitted changes."""
    folder = tmp_path / "pendo-to-aep"
    for file in files():
        target = folder / file.relative_to(PROJECT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return folder

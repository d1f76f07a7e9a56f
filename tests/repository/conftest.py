"""What the tests of the documents share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local.functions import PROJECT
from tests.repository.documents import files


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The empty home of somebody who has just come."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The project as it stands here, freshly cloned."""
    folder = tmp_path / "pendo-to-aep"
    for file in files():
        target = folder / file.relative_to(PROJECT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return folder

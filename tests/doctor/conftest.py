"""The real gcloud, where it is."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture
def gcloud(request: pytest.FixtureRequest) -> str:
    """The program; skipped with the emulator, which comes with it."""
    if request.config.getoption("--emulator") == "off":
        pytest.skip("gcloud: `make test-emulator` runs it")
    program = shutil.which("gcloud")
    assert program is not None, "gcloud is not on the PATH; see https://cloud.google.com/sdk"
    return program

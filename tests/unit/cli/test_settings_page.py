"""The configuration reference says what the settings are."""

from __future__ import annotations

import pytest

from pendo_aep.cli.settings_page import PAGE, page
from pendo_aep.settings import DrainSettings, PlatformSettings, ReceiveSettings


def test_the_page_is_that_of_the_settings() -> None:
    """The page in the repository is what the settings make of it: see its first line."""
    assert PAGE.read_text("utf-8") == page()


@pytest.mark.parametrize("model", [ReceiveSettings, DrainSettings, PlatformSettings])
def test_every_setting_is_explained(
    model: type[ReceiveSettings | DrainSettings | PlatformSettings],
) -> None:
    """Each setting of each function has one row, with a text that says what it does."""
    rows = {row.split("`")[1]: row for row in page().splitlines() if row.startswith("| `")}
    for name in model.model_fields:
        assert len(rows[name.upper()].rstrip(" |").rpartition("| ")[2]) > 10

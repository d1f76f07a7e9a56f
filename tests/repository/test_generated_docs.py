"""The generated pages of `docs/` are what the code makes of them now."""

from __future__ import annotations

import pytest

from docs.configuration import PAGE, page
from pendo_aep.settings import DrainSettings, PlatformSettings, ReceiveSettings


def test_the_configuration_page_is_up_to_date() -> None:
    """If this fails, write the page again: its first line says how."""
    assert PAGE.read_text("utf-8") == page()


@pytest.mark.parametrize("model", [ReceiveSettings, DrainSettings, PlatformSettings])
def test_every_setting_is_explained(
    model: type[ReceiveSettings | DrainSettings | PlatformSettings],
) -> None:
    """Each setting of each function has one row, with a text that says what it does."""
    rows = {row.split("`")[1]: row for row in page().splitlines() if row.startswith("| `")}
    for name in model.model_fields:
        assert len(rows[name.upper()].rstrip(" |").rpartition("| ")[2]) > 10

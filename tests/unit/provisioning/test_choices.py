"""What people choose: options go before the file; what does not go together is refused."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pendo_aep.provisioning.choices import read_choices
from pendo_aep.provisioning.errors import PlatformError

TABLE = Path(__file__).with_name("choices.json")
ROWS: list[dict[str, Any]] = json.loads(TABLE.read_text("utf-8"))


@pytest.mark.parametrize("row", ROWS, ids=[row["case"] for row in ROWS])
def test_choices(row: dict[str, Any], tmp_path: Path) -> None:
    """The choices of a row of the table, or the error that names what is wrong."""
    file = None
    if "file" in row:
        file = tmp_path / "aep.toml"
        file.write_text(row["file"], "utf-8")
    if "is" in row:
        assert asdict(read_choices(row["given"], file)) == row["is"]
        return

    with pytest.raises(PlatformError) as error:
        read_choices(row["given"], file)

    assert row["wrong"] in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With its path."""
    with pytest.raises(PlatformError, match=r"nowhere\.toml cannot be read"):
        read_choices({}, tmp_path / "nowhere.toml")

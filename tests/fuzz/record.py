"""The figures of the longest runs, in a file that the documentation quotes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tests.fuzz.tables import PROJECT

RESULTS: Final = PROJECT / "tests" / "fuzz" / "results.json"


def record(row: dict[str, Any], path: Path = RESULTS) -> None:
    """Puts the figures of one target's run in the place of its last."""
    rows = {old["target"]: old for old in read(path)} | {row["target"]: row}
    lines = ",\n".join(f"  {json.dumps(rows[target])}" for target in sorted(rows))
    path.write_text(f"[\n{lines}\n]\n", "utf-8")


def read(path: Path = RESULTS) -> list[dict[str, Any]]:
    """The figures that are recorded, a row for each target."""
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return rows

"""The page of the figures."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from tests.soak import page
from tests.soak.test_result import WELL


def test_the_page_shows_what_is_kept(tmp_path: Path) -> None:
    """The tables of `docs/reliability.md` come from the results in the repository."""
    copy = tmp_path / "reliability.md"
    copy.write_text(page.PAGE.read_text("utf-8"), "utf-8")
    page.write(page=copy)
    assert copy.read_text("utf-8") == page.PAGE.read_text("utf-8")


def test_a_result_takes_the_place_of_its_last(tmp_path: Path) -> None:
    """Of each command the last result is kept, the shortest run first, and shown."""
    results, copy = tmp_path / "results.json", tmp_path / "reliability.md"
    copy.write_text(page.PAGE.read_text("utf-8"), "utf-8")
    long = replace(WELL, command="python -m soak --minutes 10", planned=1000)
    for result in (long, WELL, replace(WELL, tokens=9)):
        page.record(asdict(result), results, copy)
    assert [(row["command"], row["tokens"]) for row in page.load(results)] == [
        ("python -m soak --minutes 1", 9),
        ("python -m soak --minutes 10", 2),
    ]
    text = copy.read_text("utf-8")
    assert "| kills | 3 | 3 |" in text
    assert "| **told accepted, and lost** | **0** | **0** |" in text
    assert "| AEP is slow | 4 | 4 |" in text

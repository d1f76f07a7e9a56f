"""What the benchmarks write: tables between marks, and a picture."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from benchmarks import markdown, plot, report
from benchmarks.figures import Figure, reaches
from benchmarks.growth import BODY_BYTES, CONCURRENCY, at_a_time, of_size
from benchmarks.tables import NoMarks

RESULTS = orjson.loads(report.RESULTS.read_bytes())
FIGURES = [Figure(row["name"], tuple(row["rounds"])) for row in RESULTS["figures"]]


def test_the_readme_shows_the_results(tmp_path: Path) -> None:
    """The tables in the repository are those of `results.json`."""
    copy = tmp_path / "README.md"
    copy.write_text(markdown.README.read_text("utf-8"), "utf-8")

    markdown.fill(FIGURES, reaches(), RESULTS, copy)

    assert copy.read_text("utf-8") == markdown.README.read_text("utf-8")


def test_the_picture_shows_the_results(tmp_path: Path) -> None:
    """The picture in the repository is that of `results.json`: the same figures, the same file."""
    copy = tmp_path / "benchmark.svg"

    plot.draw({figure.name: figure.value for figure in FIGURES}, copy)

    assert copy.read_bytes() == plot.PLOT.read_bytes()


def test_every_reach_was_measured() -> None:
    """A whole run measures each figure that has a reach, and every step of growth."""
    names = {figure.name for figure in FIGURES}

    assert names >= set(reaches())
    steps = [*map(at_a_time, CONCURRENCY), *map(of_size, BODY_BYTES)]
    assert names >= {f"receive, {step}, us" for step in steps}


@pytest.mark.parametrize("text", ["", "<!-- figures: begin -->\n", "<!-- figures: end -->\n"])
def test_a_document_without_marks(tmp_path: Path, text: str) -> None:
    """A document without a place for a table is left as it is, and the error says which."""
    path = tmp_path / "README.md"
    path.write_text(text, "utf-8")

    with pytest.raises(NoMarks, match=r"README\.md has no <!-- figures: begin -->"):
        markdown.fill(FIGURES, reaches(), RESULTS, path)

    assert path.read_text("utf-8") == text

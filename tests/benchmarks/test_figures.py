"""Figures, how far they should come, what CI lets pass, and the documents that show them."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from benchmarks import figures, readme
from benchmarks.__main__ import COMPARISONS, DERIVED
from benchmarks.comparisons import BODY_BYTES, CONCURRENCY, at_a_time, of_size
from benchmarks.figures import Figure, Reach, past_guard, reaches
from benchmarks.tables import MarkersMissing

LESS = Reach(name="less", comparison="a", title="less", reach=2.0, guard=3.0)
MORE = Reach(name="more", comparison="a", title="more", reach=0.9, guard=0.8, at_least=True)
RESULTS = orjson.loads(figures.RESULTS.read_bytes())
FIGURES = [Figure(row["name"], tuple(row["rounds"])) for row in RESULTS["figures"]]


def test_a_ratio_is_of_each_round() -> None:
    """Side-by-side measurements are divided round by round; the value is the median."""
    figure = Figure.ratio("a / b", [2.0, 9.0, 3.0], [1.0, 1.0, 1.0])
    assert (figure.value, figure.spread) == (3.0, "2 .. 9")
    with pytest.raises(ValueError, match="zip"):
        Figure.ratio("a / b", [2.0, 9.0], [1.0])


@pytest.mark.parametrize(
    ("reach", "value", "met"),
    [(LESS, 2.0, True), (LESS, 2.01, False), (MORE, 0.9, True), (MORE, 0.89, False)],
)
def test_a_reach_is_met_at_its_bound(reach: Reach, value: float, met: bool) -> None:
    """A reach is the most a figure may be, or the least."""
    assert reach.is_met(value) is met


def test_a_figure_past_its_guard_is_an_error() -> None:
    """The error names the value and the bound, or says that the figure was not measured."""
    wrong = past_guard([Figure("less", (3.5,)), Figure("more", (0.8,))], [LESS, MORE])
    assert wrong == ["less is 3.5; it must be at most 3"]
    wrong = past_guard([Figure("more", (0.5,))], [LESS, MORE])
    assert wrong == ["less was not measured", "more is 0.5; it must be at least 0.8"]


def test_every_reach_is_measured() -> None:
    """Each reach belongs to a comparison and was measured; no guard is stricter than its reach."""
    names = {figure.name for figure in FIGURES}
    assert names >= set(reaches())
    for reach in reaches().values():
        assert reach.comparison in {*COMPARISONS, *DERIVED}
        if reach.guard is not None and reach.reach is not None:
            assert reach.is_guarded(reach.reach), reach.name
    steps = [*map(at_a_time, CONCURRENCY), *map(of_size, BODY_BYTES)]
    assert names >= {f"receive, {step}, us" for step in steps}


def test_the_documents_show_the_results(tmp_path: Path) -> None:
    """The tables and the picture in the repository are those of `results.json`."""
    copy, picture = tmp_path / "README.md", tmp_path / "benchmark.svg"
    copy.write_text(readme.README.read_text("utf-8"), "utf-8")
    readme.write_tables(FIGURES, reaches(), RESULTS, copy)
    readme.draw_plot(FIGURES, picture)
    assert copy.read_text("utf-8") == readme.README.read_text("utf-8")
    assert picture.read_bytes() == readme.PLOT.read_bytes()


@pytest.mark.parametrize("text", ["", "<!-- figures: begin -->\n", "<!-- figures: end -->\n"])
def test_a_document_without_markers_is_left_alone(tmp_path: Path, text: str) -> None:
    """The error names the marker that is missing."""
    path = tmp_path / "README.md"
    path.write_text(text, "utf-8")
    with pytest.raises(MarkersMissing, match=r"README\.md has no <!-- figures: begin -->"):
        readme.write_tables(FIGURES, reaches(), RESULTS, path)
    assert path.read_text("utf-8") == text

"""Reading what the functions print."""

from __future__ import annotations

import pytest

from tests.cases import Case, cases
from tests.soak.lines import Lines


@pytest.mark.parametrize("case", cases("soak_lines"))
def test_a_line(case: Case) -> None:
    """A secret, personal data or a traceback is noticed wherever it stands, and nothing else is."""
    lines = Lines()
    lines.read([case["line"]])
    assert dict(lines.messages) == {case["message"]: 1}
    assert lines.leaks == ([case["line"]] if case.get("leak") else [])
    assert lines.tracebacks == ([case["line"]] if case.get("traceback") else [])


def test_not_all_of_a_flood_is_kept() -> None:
    """Of a million leaks, the first ten say enough."""
    lines = Lines()
    lines.read(["canary comment"] * 1000)
    assert len(lines.leaks) == 10
    assert lines.messages["not JSON"] == 1000

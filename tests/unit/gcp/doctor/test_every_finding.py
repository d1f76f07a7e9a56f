"""The tables are complete: whatever the doctor can find wrong, a case has it find so."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pendo_aep.gcp.doctor
from tests.cases import Case
from tests.unit.gcp.doctor.clinic import LOOKS, followed, found, judged, probed, stored, table

_SOURCES = sorted(Path(pendo_aep.gcp.doctor.__file__).parent.glob("*.py"))
_NAMED = frozenset({"wrong", "unknown", "not_seen"})
_JUDGES: dict[str, Callable[[Case], object]] = {
    **dict.fromkeys(LOOKS, judged),
    "probes": probed,
    "stored": stored,
    "followed": followed,
    "doors": found,
}


def places() -> dict[str, tuple[str, range]]:
    """Each call that makes a finding which is not well: its file and its lines, by a name."""
    return {
        f"{source.name}:{node.lineno} {node.func.id}": (
            str(source),
            range(node.lineno, (node.end_lineno or node.lineno) + 1),
        )
        for source in _SOURCES
        for node in ast.walk(ast.parse(source.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _NAMED
    }


def lines_run(act: Callable[[], object]) -> set[tuple[str, int]]:
    """The lines of the doctor that something runs."""
    run: set[tuple[str, int]] = set()
    watched = set(map(str, _SOURCES))

    def trace(frame: FrameType, _event: str, _argument: Any) -> Any:
        if frame.f_code.co_filename not in watched:
            return None
        run.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return run


def test_whatever_can_be_found_wrong_is_found_by_a_case() -> None:
    """Each place in the code that makes such a finding is reached by a row of a table."""

    def all_cases() -> None:
        for name, judge in _JUDGES.items():
            for case in table(name):
                judge(case)

    run = lines_run(all_cases)

    found_in = places()
    assert len(found_in) > len(_SOURCES)
    assert [
        place
        for place, (file, lines) in found_in.items()
        if not any((file, line) in run for line in lines)
    ] == []

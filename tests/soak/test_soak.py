"""The whole soak, with functions as processes: it passes what is well, and finds what is not."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from soak.__main__ import main
from soak.ledger import Ledger
from soak.rig import Setup

pytestmark = pytest.mark.slow


def run(*arguments: str, into: Path) -> tuple[int, dict[str, Any]]:
    """The exit code of a run, and its result."""
    code = main([*arguments, "--json", str(into / "soak.json")])
    return code, orjson.loads((into / "soak.json").read_bytes())


@pytest.mark.parametrize("way", ["push", "drain"])
def test_a_short_run(way: str, tmp_path: Path) -> None:
    """Three thousand events, faults and a kill: every promise is kept, and none is missing."""
    code, result = run("--minutes", "0.2", "--rate", "250", "--way", way, into=tmp_path)
    assert (code, result["broken"]) == (0, [])
    account = result["account"]
    assert account["sent"] == account["told"] == 3000
    assert account["held"] == 2994
    assert account["dead"] == 6
    assert sum(of for kind, of in result["strikes"].items() if kind.startswith("kill")) >= 1
    assert result["messages"]["webhook accepted"] >= 2997


def test_broken_functions_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each promise that the functions break is named, and the run fails."""
    source = {"FUNCTION_SOURCE": "tests/soak/broken_functions.py"}
    monkeypatch.setattr("soak.options.Setup", partial(Setup, environ=source))
    code, result = run("--minutes", "0.1", "--rate", "200", "--patience", "15", into=tmp_path)
    assert code == 1
    found = {problem.split(": ")[0].partition(" ")[2] for problem in result["broken"]}
    assert found == {
        "lost",
        "dead without cause",
        "under an id that was never sent",
        "with something else in it than was sent",
        "lines with a secret or personal data",
        "tracebacks",
        "did not come to its end",
    }


def test_what_aep_drops_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One event of a thousand that AEP has accepted and does not hold is lost, by its id."""

    class Forgetful(Ledger):
        dropped = ""

        def held(self, event_id: str, *, is_intact: bool = True) -> None:
            if len(self._marks) > 500 and not Forgetful.dropped:
                Forgetful.dropped = event_id
            if event_id != Forgetful.dropped:
                super().held(event_id, is_intact=is_intact)

    monkeypatch.setattr("soak.__main__.Ledger", Forgetful)
    code, result = run("--minutes", "0.1", "--rate", "170", "--patience", "15", into=tmp_path)
    assert code == 1
    assert result["account"]["lost"] == [Forgetful.dropped]
    assert result["broken"] == [
        f"1 lost: {Forgetful.dropped}",
        "it did not come to its end: see what the functions logged",
    ]

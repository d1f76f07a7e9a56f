"""The whole soak, with functions as processes: a good run passes, and planted bugs are found."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.soak.__main__ import main
from tests.soak.environment import Setup, reserve_ports
from tests.soak.fault_schedule import DEAD_LETTERS_DENIED, FaultWindow
from tests.soak.reconciliation import Reconciliation
from tests.soak.webhooks import REFUSED, make_webhook

pytestmark = pytest.mark.slow


def test_two_soaks_have_ports_of_their_own() -> None:
    """A port that a soak has reserved is not taken by another, until that soak has ended."""
    with closing(reserve_ports()) as one, closing(reserve_ports()) as another:
        first = next(one)
        assert next(another) != first
    with closing(reserve_ports()) as again:
        assert next(again) == first


def run(*arguments: str, into: Path) -> tuple[int, dict[str, Any]]:
    """Returns the exit code of a run, and its result."""
    code = main([*arguments, "--json", str(into / "soak.json")])
    return code, orjson.loads((into / "soak.json").read_bytes())


@pytest.mark.parametrize("way", ["push", "drain"])
def test_a_short_run(way: str, tmp_path: Path) -> None:
    """With three thousand events, faults and a kill, every promise is kept."""
    code, result = run("--minutes", "0.2", "--rate", "250", "--way", way, into=tmp_path)
    assert (code, result["broken"]) == (0, [])
    account = result["account"]
    assert account["sent"] == account["told"] == 3000
    assert account["held"] == 2982
    assert account["dead"] == 18
    assert sum(of for kind, of in result["strikes"].items() if kind.startswith("kill")) >= 1
    assert result["messages"]["webhook accepted"] >= 2997


def run_broken(
    bug: str, *arguments: str, into: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, dict[str, Any]]:
    """Runs the functions with a bug of `broken_functions.py`.

    What a test waits for never comes, so it waits little: longer than what Pub/Sub holds back.
    """
    patience = "15" if "drain" in arguments else "8"
    environ = {"FUNCTION_SOURCE": "tests/soak/broken_functions.py", "BROKEN": bug}
    monkeypatch.setattr("tests.soak.__main__.Setup", partial(Setup, environ=environ))
    return run(*arguments, "--patience", patience, into=into)


def test_broken_functions_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each promise that the functions break is named, and the run fails."""
    load = ("--minutes", "0.1", "--rate", "200")
    code, result = run_broken("delivery", *load, into=tmp_path, monkeypatch=monkeypatch)
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


def test_an_unstored_dead_letter_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A `drain` that acknowledges although its dead letter was not stored has lost events."""
    schedule = [FaultWindow(at=2.0, kind=DEAD_LETTERS_DENIED, seconds=6.0, share=1.0)]
    monkeypatch.setattr("tests.soak.__main__.make_schedule", lambda *_: schedule)
    load = ("--way", "drain", "--minutes", "0.2", "--rate", "250")
    code, result = run_broken("dead letters", *load, into=tmp_path, monkeypatch=monkeypatch)
    assert code == 1
    # They are all that is lost: those that AEP refuses for what they are.
    refused = {
        w.event_id for w in (make_webhook(1, n, "raw") for n in range(3000)) if w.cause == REFUSED
    }
    assert set(result["account"]["lost"]) & refused
    assert set(result["account"]["lost"]) <= refused
    assert result["account"]["causeless"] == {}


def test_missing_properties_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Events of webhooks over 3 kB that arrive without their `properties` are altered."""
    load = ("--minutes", "0.1", "--rate", "200")
    code, result = run_broken("properties", *load, into=tmp_path, monkeypatch=monkeypatch)
    assert code == 1
    numbers = (
        number for number in range(1200) if len(make_webhook(1, number, "raw").request) > 3000
    )
    large = {make_webhook(1, number, "raw").event_id for number in numbers}
    assert len(large) == 24
    assert set(result["account"]["altered"]) == large
    assert result["account"]["lost"] == []


def test_what_aep_drops_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One event of a thousand that AEP has accepted and does not hold is lost, by its id."""

    class Forgetful(Reconciliation):
        dropped = ""

        def delivered(self, event_id: str, fingerprint: bytes) -> None:
            if len(self._marks) > 500 and not Forgetful.dropped:
                Forgetful.dropped = event_id
            if event_id != Forgetful.dropped:
                super().delivered(event_id, fingerprint)

    monkeypatch.setattr("tests.soak.__main__.Reconciliation", Forgetful)
    code, result = run("--minutes", "0.1", "--rate", "170", "--patience", "8", into=tmp_path)
    assert code == 1
    assert result["account"]["lost"] == [Forgetful.dropped]
    assert result["broken"] == [
        f"1 lost: {Forgetful.dropped}",
        "it did not come to its end: see what the functions logged",
    ]

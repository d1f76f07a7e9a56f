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
from tests.soak.fault_schedule import (
    CLOCK_FAULTS,
    DEAD_LETTERS_DENIED,
    DEAD_LETTERS_GONE,
    KILL_CARRIER,
    KILL_RECEIVE,
    PUBSUB_GONE,
    SETTING_FAULTS,
    SILENT_AEP,
    FaultWindow,
)
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


# Faults of every sort in eight seconds, which `make_schedule` draws for a minute.
SCHEDULE = [
    FaultWindow(at=0.5, kind="AEP answers 503", seconds=1.0, share=0.7),
    FaultWindow(at=1.0, kind=PUBSUB_GONE, seconds=0.5, share=1.0),
    FaultWindow(at=1.8, kind=KILL_RECEIVE, seconds=0.0, share=1.0),
    FaultWindow(at=2.0, kind="AEP accepts, and hangs up", seconds=1.0, share=0.5),
    FaultWindow(at=2.5, kind=CLOCK_FAULTS[0], seconds=1.5, share=1.0),
    FaultWindow(at=3.0, kind=SILENT_AEP, seconds=0.0, share=1.0),
    FaultWindow(at=3.5, kind=KILL_CARRIER, seconds=0.0, share=1.0),
    FaultWindow(at=4.5, kind=SETTING_FAULTS[1], seconds=1.0, share=1.0),
    FaultWindow(at=5.0, kind=DEAD_LETTERS_GONE, seconds=1.5, share=1.0),
]


@pytest.mark.parametrize("way", ["push", "drain"])
def test_a_short_run(way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a thousand events, faults and two kills, every promise is kept."""
    monkeypatch.setattr("tests.soak.__main__.make_schedule", lambda *_: SCHEDULE)
    code, result = run("--minutes", "0.125", "--rate", "150", "--way", way, into=tmp_path)
    assert (code, result["broken"]) == (0, [])
    account = result["account"]
    assert account["sent"] == account["told"] == 1125
    assert account["held"] == 1118
    assert account["dead"] == 7
    assert result["strikes"] == {window.kind: 1 for window in SCHEDULE}
    assert result["messages"]["webhook accepted"] >= 1124


def run_broken(
    bugs: str, *arguments: str, into: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, dict[str, Any]]:
    """Runs the functions with bugs of `broken_functions.py`.

    What a test waits for never comes, so it waits little: longer than what Pub/Sub holds back.
    """
    patience = "15" if "drain" in arguments else "8"
    environ = {"FUNCTION_SOURCE": "tests/soak/broken_functions.py", "BROKEN": bugs}
    monkeypatch.setattr("tests.soak.__main__.Setup", partial(Setup, environ=environ))
    return run(*arguments, "--patience", patience, into=into)


def test_broken_functions_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each promise that the functions break is named, and the run fails.

    Events of webhooks over 3 kB that arrive without their `properties` are altered. One event that
    AEP has accepted and does not hold is lost, by its id.
    """
    webhooks = [make_webhook(1, number, "raw") for number in range(1200)]
    large = {webhook.event_id for webhook in webhooks if len(webhook.request) > 3000}
    assert len(large) == 24

    class Forgetful(Reconciliation):
        dropped = ""

        def delivered(self, event_id: str, fingerprint: bytes) -> None:
            if len(self._marks) > 500 and not Forgetful.dropped and event_id not in large:
                Forgetful.dropped = event_id
            if event_id != Forgetful.dropped:
                super().delivered(event_id, fingerprint)

    monkeypatch.setattr("tests.soak.__main__.Reconciliation", Forgetful)
    load = ("--minutes", "0.1", "--rate", "200")
    code, result = run_broken("delivery,properties", *load, into=tmp_path, monkeypatch=monkeypatch)
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
    lost, altered = set(result["account"]["lost"]), set(result["account"]["altered"])
    assert lost > {Forgetful.dropped}
    assert altered > large
    assert not lost & large


def test_an_unstored_dead_letter_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A `drain` that acknowledges although its dead letter was not stored has lost events."""
    # Longer than the load, so that even a busy machine rejects some events in it.
    schedule = [FaultWindow(at=0.0, kind=DEAD_LETTERS_DENIED, seconds=12.0, share=1.0)]
    monkeypatch.setattr("tests.soak.__main__.make_schedule", lambda *_: schedule)
    load = ("--way", "drain", "--minutes", "0.1", "--rate", "200")
    code, result = run_broken("dead letters", *load, into=tmp_path, monkeypatch=monkeypatch)
    assert code == 1
    # They are all that is lost: those that AEP refuses for what they are.
    refused = {
        w.event_id for w in (make_webhook(1, n, "raw") for n in range(1200)) if w.cause == REFUSED
    }
    assert set(result["account"]["lost"]) & refused
    assert set(result["account"]["lost"]) <= refused
    assert result["account"]["causeless"] == {}

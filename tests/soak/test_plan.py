"""The plan of what goes wrong, and the pace of the webhooks."""

from __future__ import annotations

import pytest

from tests.soak import aep_faults
from tests.soak.options import parse
from tests.soak.plan import (
    FREEZES,
    KILL_CARRIER,
    KILL_RECEIVE,
    LETTERS,
    PUBSUB_GONE,
    SILENCES,
    WORKER_TIMEOUT_SECONDS,
    Pace,
    count,
    make_plan,
    streams,
)

SOURCES = streams(aep_faults.KINDS, aep_faults.CLOCKS, aep_faults.SETTINGS)


def test_the_same_seed_the_same_plan() -> None:
    """A run can be repeated: its seed is all that its plan depends on."""
    assert make_plan(7, 120, SOURCES) == make_plan(7, 120, SOURCES)
    assert make_plan(7, 120, SOURCES) != make_plan(8, 120, SOURCES)


@pytest.mark.parametrize("seed", range(5))
def test_the_long_run_is_long_enough(seed: int) -> None:
    """Ten minutes are a million webhooks and fifty kills, and every fault strikes several times."""
    run = parse(["--minutes", "10", "--seed", str(seed)]).run
    strikes = count(run.plan)
    assert run.events >= 1_000_000
    assert strikes[KILL_RECEIVE] + strikes[KILL_CARRIER] >= 50
    of_aep = {*aep_faults.KINDS, *aep_faults.CLOCKS, *aep_faults.SETTINGS}
    of_others = {KILL_RECEIVE, KILL_CARRIER, PUBSUB_GONE, *FREEZES, *SILENCES, *LETTERS}
    assert strikes.keys() == of_aep | of_others
    assert min(strikes.values()) >= 5


@pytest.mark.parametrize("seed", range(5))
def test_the_short_run_is_long_enough(seed: int) -> None:
    """A minute is a hundred thousand webhooks, with kills, and with every sort of fault."""
    run = parse(["--minutes", "1", "--seed", str(seed)]).run
    assert run.events >= 100_000
    struck = count(run.plan).keys()
    assert {KILL_RECEIVE, KILL_CARRIER, PUBSUB_GONE} <= struck
    for kinds in (FREEZES, SILENCES, LETTERS, aep_faults.SETTINGS):
        assert struck & set(kinds)


def test_a_freeze_outlasts_a_worker() -> None:
    """Each freeze is longer than the timeout after which gunicorn would kill a worker."""
    freezes = [strike for strike in make_plan(1, 600, SOURCES) if strike.kind in FREEZES]
    assert freezes
    assert min(strike.seconds for strike in freezes) > WORKER_TIMEOUT_SECONDS


def test_the_emulator_keeps_its_dead_letter_topic() -> None:
    """Google's emulator cannot fail for one topic: its plan does not ask for that."""
    kinds = {strike.kind for strike in parse(["--minutes", "10", "--emulator"]).run.plan}
    assert not kinds & set(LETTERS)
    assert kinds >= {*FREEZES, *SILENCES}


@pytest.mark.parametrize("seconds", [10, 60, 600])
def test_all_is_well_at_the_end(seconds: int) -> None:
    """Strikes come in the order of their times, and every one is over before the run is."""
    plan = make_plan(1, seconds, SOURCES)
    assert plan
    assert [strike.at for strike in plan] == sorted(strike.at for strike in plan)
    assert max(strike.at + strike.seconds for strike in plan) <= seconds


def test_a_further_source_changes_no_other() -> None:
    """What one source draws does not depend on those beside it."""
    fewer = make_plan(1, 60, SOURCES[:2])
    assert [strike for strike in make_plan(1, 60, SOURCES) if strike in fewer] == fewer


def test_the_pace_is_steady_then_a_burst() -> None:
    """Of ten seconds, half the webhooks come in the first five, half in the one after it."""
    pace = Pace(100.0)
    due = [pace.due(number) for number in range(2000)]
    assert due == sorted(due)
    assert [sum(t <= moment < t + 1 for moment in due) for t in range(12)] == [
        *[100] * 5, 500, 0, 0, 0, 0, 100, 100,
    ]  # fmt: skip

"""The plan of what goes wrong, and the pace of the webhooks."""

from __future__ import annotations

import pytest

from tests.soak import fault_schedule
from tests.soak.__main__ import main, parse
from tests.soak.fault_schedule import (
    DEAD_LETTER_FAULTS,
    FREEZES,
    KILL_CONSUMER,
    KILL_RECEIVE,
    PUBSUB_GONE,
    SILENCES,
    WORKER_TIMEOUT_SECONDS,
    Pace,
    count_kinds,
    fault_sources,
    make_schedule,
)

SOURCES = fault_sources(
    fault_schedule.AEP_FAULTS, fault_schedule.CLOCK_FAULTS, fault_schedule.SETTING_FAULTS
)


def test_the_same_seed_the_same_plan() -> None:
    """A run can be repeated: its seed is all that its plan depends on."""
    assert make_schedule(7, 120, SOURCES) == make_schedule(7, 120, SOURCES)
    assert make_schedule(7, 120, SOURCES) != make_schedule(8, 120, SOURCES)


@pytest.mark.parametrize("seed", range(5))
def test_the_long_run_is_long_enough(seed: int) -> None:
    """Ten minutes are a million webhooks and fifty kills, and every fault strikes several times."""
    run = parse(["--minutes", "10", "--seed", str(seed)]).run
    strikes = count_kinds(run.plan)
    assert run.events >= 1_000_000
    assert strikes[KILL_RECEIVE] + strikes[KILL_CONSUMER] >= 50
    of_aep = {
        *fault_schedule.AEP_FAULTS,
        *fault_schedule.CLOCK_FAULTS,
        *fault_schedule.SETTING_FAULTS,
    }
    of_others = {KILL_RECEIVE, KILL_CONSUMER, PUBSUB_GONE, *FREEZES, *SILENCES, *DEAD_LETTER_FAULTS}
    assert strikes.keys() == of_aep | of_others
    assert min(strikes.values()) >= 5


@pytest.mark.parametrize("seed", range(5))
def test_the_short_run_is_long_enough(seed: int) -> None:
    """A minute is a hundred thousand webhooks, with kills, and with every sort of fault."""
    run = parse(["--minutes", "1", "--seed", str(seed)]).run
    assert run.events >= 100_000
    struck = count_kinds(run.plan).keys()
    assert {KILL_RECEIVE, KILL_CONSUMER, PUBSUB_GONE} <= struck
    for kinds in (FREEZES, SILENCES, DEAD_LETTER_FAULTS, fault_schedule.SETTING_FAULTS):
        assert struck & set(kinds)


def test_a_freeze_outlasts_a_worker() -> None:
    """Each freeze is longer than the timeout after which gunicorn would kill a worker."""
    freezes = [strike for strike in make_schedule(1, 600, SOURCES) if strike.kind in FREEZES]
    assert freezes
    assert min(strike.seconds for strike in freezes) > WORKER_TIMEOUT_SECONDS


def test_the_emulator_keeps_its_dead_letter_topic() -> None:
    """Google's emulator cannot fail for one topic: its plan does not ask for that."""
    kinds = {strike.kind for strike in parse(["--minutes", "10", "--emulator"]).run.plan}
    assert not kinds & set(DEAD_LETTER_FAULTS)
    assert kinds >= {*FREEZES, *SILENCES}


@pytest.mark.parametrize("seconds", [10, 60, 600])
def test_all_is_well_at_the_end(seconds: int) -> None:
    """Strikes come in the order of their times, and every one is over before the run is."""
    plan = make_schedule(1, seconds, SOURCES)
    assert plan
    assert [strike.at for strike in plan] == sorted(strike.at for strike in plan)
    assert max(strike.at + strike.seconds for strike in plan) <= seconds


def test_a_further_source_changes_no_other() -> None:
    """What one source draws does not depend on those beside it."""
    fewer = make_schedule(1, 60, SOURCES[:2])
    assert [strike for strike in make_schedule(1, 60, SOURCES) if strike in fewer] == fewer


def test_the_pace_is_steady_then_a_burst() -> None:
    """Of ten seconds, half the webhooks come in the first five, half in the one after it."""
    pace = Pace(100.0)
    due = [pace.due(number) for number in range(2000)]
    assert due == sorted(due)
    assert [sum(t <= moment < t + 1 for moment in due) for t in range(12)] == [
        *[100] * 5, 500, 0, 0, 0, 0, 100, 100,
    ]  # fmt: skip


# The options of the soak.


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ("", "python -m soak --minutes 1"),
        ("--minutes 10 --json x.json --record", "python -m soak --minutes 10"),
        ("--rate 250 --seed 3", "python -m soak --minutes 1 --rate 250 --seed 3"),
        ("--way drain --format xdm", "python -m soak --minutes 1 --way drain --format xdm"),
        ("--emulator", "python -m soak --minutes 1 --emulator"),
    ],
)
def test_the_command_makes_the_run_again(given: str, command: str) -> None:
    """A result names what makes it again: whatever is not as by default, and nothing beside it."""
    run = parse(given.split()).run
    assert run.command == command
    assert parse(command.split()[3:]).run == run


def test_the_emulator_is_drained() -> None:
    """On Google's emulator events are pulled, for it stops pushing to what has failed."""
    assert parse(["--emulator"]).run.setup.way == "drain"
    assert parse([]).run.setup.way == "push"


def test_the_plan_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """`--plan` prints each strike with its time, starts nothing, and exits 0."""
    assert main(["--plan", "--minutes", "1"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(parse([]).run.plan)
    assert any("kill receive" in line for line in printed)

"""The fault schedule, the pace of the webhooks, and the options that choose them."""

from __future__ import annotations

import pytest

from tests.soak.__main__ import main, make_run, parser
from tests.soak.fault_schedule import (
    AEP_FAULTS,
    CLOCK_FAULTS,
    DEAD_LETTER_FAULTS,
    FREEZES,
    KILL_CARRIER,
    KILL_RECEIVE,
    PUBSUB_GONE,
    SETTING_FAULTS,
    SILENCES,
    WORKER_TIMEOUT_SECONDS,
    count_kinds,
    fault_sources,
    make_schedule,
)
from tests.soak.load_generator import Pace
from tests.soak.run import Run


def run_of(command: str) -> Run:
    """Returns the run that a command line describes."""
    return make_run(parser().parse_args(command.split()))


def test_the_same_seed_makes_the_same_schedule() -> None:
    """A run can be repeated: its schedule depends on nothing but its seed."""
    assert make_schedule(7, 120) == make_schedule(7, 120)
    assert make_schedule(7, 120) != make_schedule(8, 120)


@pytest.mark.parametrize("seed", range(5))
def test_the_runs_are_long_enough(seed: int) -> None:
    """Ten minutes have a million webhooks and each fault several times; one minute, each sort."""
    run = run_of(f"--minutes 10 --seed {seed}")
    counts = count_kinds(run.schedule)
    assert run.events >= 1_000_000
    assert counts[KILL_RECEIVE] + counts[KILL_CARRIER] >= 50
    of_aep = {*AEP_FAULTS, *CLOCK_FAULTS, *SETTING_FAULTS}
    of_others = {KILL_RECEIVE, KILL_CARRIER, PUBSUB_GONE, *FREEZES, *SILENCES, *DEAD_LETTER_FAULTS}
    assert counts.keys() == of_aep | of_others
    assert min(counts.values()) >= 5

    run = run_of(f"--minutes 1 --seed {seed}")
    assert run.events >= 100_000
    kinds = count_kinds(run.schedule).keys()
    assert {KILL_RECEIVE, KILL_CARRIER, PUBSUB_GONE} <= kinds
    for of_one_sort in (FREEZES, SILENCES, DEAD_LETTER_FAULTS, SETTING_FAULTS):
        assert kinds & set(of_one_sort)


@pytest.mark.parametrize("seconds", [10, 60, 600])
def test_every_fault_ends_before_the_run(seconds: int) -> None:
    """Faults are in order; a freeze lasts longer than the timeout of a worker."""
    schedule = make_schedule(1, seconds)
    assert schedule
    assert [window.at for window in schedule] == sorted(window.at for window in schedule)
    assert max(window.at + window.seconds for window in schedule) <= seconds
    freezes = [window.seconds for window in schedule if window.kind in FREEZES]
    assert min(freezes, default=WORKER_TIMEOUT_SECONDS + 1) > WORKER_TIMEOUT_SECONDS


def test_another_source_changes_no_other() -> None:
    """What one source draws does not depend on the others."""
    fewer = make_schedule(1, 60, fault_sources()[:2])
    assert [window for window in make_schedule(1, 60) if window in fewer] == fewer


def test_google_s_emulator() -> None:
    """It is drained, because it stops pushing after failures; its dead-letter topic cannot fail."""
    run = run_of("--minutes 10 --emulator")
    kinds = count_kinds(run.schedule).keys()
    assert not kinds & set(DEAD_LETTER_FAULTS)
    assert kinds >= {*FREEZES, *SILENCES}
    assert (run.setup.way, run_of("").setup.way) == ("drain", "push")


def test_the_pace_is_steady_then_a_burst() -> None:
    """Of ten seconds, half the webhooks come in the first five, half in the one after it."""
    pace = Pace(100.0)
    due = [pace.due(number) for number in range(2000)]
    assert due == sorted(due)
    assert [sum(t <= moment < t + 1 for moment in due) for t in range(12)] == [
        *[100] * 5, 500, 0, 0, 0, 0, 100, 100,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ("", "python -m tests.soak --minutes 1"),
        ("--minutes 10 --json x.json --record", "python -m tests.soak --minutes 10"),
        ("--rate 250 --seed 3", "python -m tests.soak --minutes 1 --rate 250 --seed 3"),
        ("--way drain --format xdm", "python -m tests.soak --minutes 1 --way drain --format xdm"),
        ("--emulator", "python -m tests.soak --minutes 1 --emulator"),
    ],
)
def test_the_command_repeats_the_run(given: str, command: str) -> None:
    """A result names the command that repeats it: whatever differs from the defaults."""
    run = run_of(given)
    assert run.command == command
    assert run_of(command.removeprefix("python -m tests.soak ")) == run


def test_the_schedule_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """`--plan` prints each fault with its time, starts nothing, and exits 0."""
    assert main(["--plan", "--minutes", "1"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(run_of("").schedule)
    assert any("kill receive" in line for line in printed)

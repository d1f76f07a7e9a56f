"""The options of the soak."""

from __future__ import annotations

import pytest

from tests.soak.__main__ import main
from tests.soak.options import parse


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

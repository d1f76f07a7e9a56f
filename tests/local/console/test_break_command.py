"""`python -m local break`: a running console does what it says, and what is wrong is told."""

from __future__ import annotations

import pytest
from rich.console import Console

from local.__main__ import FAULTS, main, parse
from local.console.break_command import BreakFailed, break_pipeline
from local.console.fault_injection import FaultKind
from local.functions import free_port
from tests.local.console.console_harness import ConsoleHarness, console_harness


def test_every_failure_of_the_console_has_its_name() -> None:
    """The names are written down, because the kinds take long to import."""
    assert set(FAULTS) == set(FaultKind)


async def run(console: ConsoleHarness, *arguments: str) -> str:
    """Runs the command; returns what it prints."""
    out = Console(width=200)
    with out.capture() as printed:
        options = parse(["break", *arguments, "--console", console.url])
        assert await break_pipeline(options, out) == 0
    return printed.get()


async def test_a_failure_is_injected_and_ended() -> None:
    """As by the switch of the page; without a name, every one ends."""
    async with console_harness() as console:
        active = console.actions.injector
        assert "AEP fails 50% of requests (503)" in await run(console, "fail", "--share", "0.5")
        await run(console, "slow", "--seconds", "7")
        assert [(one.kind, one.share, one.seconds) for one in active.active] == [
            (FaultKind.FAIL, 0.5, 2.0),
            (FaultKind.SLOW, 1.0, 7.0),
        ]

        assert "Ended: fail." in await run(console, "fail", "--mend")
        assert [one.kind for one in active.active] == [FaultKind.SLOW]
        assert "Ended every failure." in await run(console, "--mend")
        assert active.active == []


async def test_what_the_console_refuses_is_told() -> None:
    """In its words."""
    async with console_harness() as console:
        with pytest.raises(BreakFailed, match="there is no data lake here"):
            await run(console, "lost")


def test_without_a_console_it_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    """And exits 1."""
    assert main(["break", "lost", "--console", f"http://127.0.0.1:{free_port()}/"]) == 1
    assert "start `python -m local`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "say which failure, or --mend"),
        (["earthquake"], "invalid choice: 'earthquake'"),
        (["lost", "--share", "1.1"], "'1.1' is not a share above 0, up to 1"),
        (["lost", "--share", "nan"], "'nan' is not a share above 0, up to 1"),
        (["late", "--seconds", "soon"], "'soon' is not a number of seconds above 0, up to 120"),
    ],
)
def test_a_wrong_use_exits_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    """It names what is wrong."""
    with pytest.raises(SystemExit, match="2"):
        parse(["break", *arguments])
    assert problem in capsys.readouterr().err

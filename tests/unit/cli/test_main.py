"""`python -m pendo_aep` itself: what it says before any command runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from local.functions import PROJECT
from pendo_aep.__main__ import main

COMMANDS = [
    [],
    ["aep"],
    ["aep", "plan"],
    ["aep", "apply"],
    ["aep", "show"],
    ["aep", "destroy"],
    ["doctor"],
    ["dead-letters"],
    ["dead-letters", "list"],
    ["dead-letters", "show"],
    ["dead-letters", "replay"],
    ["completion"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("columns", [60, 80, 140])
def test_help_is_there_for_each_command(
    arguments: list[str],
    columns: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """--help exits with 0, shows the usage, examples and exit codes, and fits the terminal."""
    monkeypatch.setenv("COLUMNS", str(columns))

    with pytest.raises(SystemExit) as exit_:
        main([*arguments, "--help"])

    assert exit_.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(" ".join(["usage: python -m pendo_aep", *arguments]))
    assert "Exit code: 0 " in out
    if arguments != ["doctor"]:
        assert "Examples:" in out
        prose = [line for line in out.splitlines() if not line.startswith("  ")]
        assert max(map(len, prose)) <= columns


def test_help_names_the_commands_beside_what_they_do(capsys: pytest.CaptureFixture[str]) -> None:
    """A newcomer reads one line a command, in the order of their need."""
    with pytest.raises(SystemExit):
        main(["--help"])

    out = capsys.readouterr().out
    listed = out.partition("COMMAND\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in listed] == ["aep", "doctor", "dead-letters", "completion"]
    assert all(len(line.split()) > 1 for line in listed)


def test_help_loads_nothing_heavy() -> None:
    """Help answers at once: neither Google's clients nor any other package is loaded for it."""
    look = (
        "import sys\n"
        "from pendo_aep.__main__ import main\n"
        "try: main(['aep', 'apply', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'aiohttp', 'google.api_core', 'grpc', 'orjson', 'pydantic', 'rich', 'shtab'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", look],
        capture_output=True,
        check=False,
        cwd=PROJECT,
        text=True,
        timeout=20,
    )

    assert (ran.returncode, ran.stderr) == (0, "")


def test_without_rich_it_says_what_to_install() -> None:
    """The functions do not need rich, so it may be missing where they run."""
    without = "import sys; sys.modules['rich'] = None; from pendo_aep.__main__ import main; "
    ran = subprocess.run(
        [sys.executable, "-c", without + "sys.exit(main(['dead-letters', 'list']))"],
        capture_output=True,
        check=False,
        cwd=PROJECT,
        text=True,
        timeout=20,
    )

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        "python -m pendo_aep dead-letters list: rich is missing: pip install -e '.[ops]'\n"
    )

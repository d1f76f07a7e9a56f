"""`python -m pendo_aep` itself: what it says before any command runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from local.functions import PROJECT
from pendo_aep.__main__ import main


@pytest.mark.parametrize(
    "arguments", [[], ["dead-letters"], ["dead-letters", "replay"], ["aep"], ["aep", "apply"]]
)
def test_help_is_there_for_each_command(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """--help exits with 0 and says what it is about."""
    with pytest.raises(SystemExit) as exit_:
        main([*arguments, "--help"])

    assert exit_.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(" ".join(["usage: python -m pendo_aep", *arguments]))


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

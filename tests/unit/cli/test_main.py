"""`pendo-aep` itself: what it prints before any command runs."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

from local.functions import PROJECT
from pendo_aep.__main__ import main
from pendo_aep.cli import options

COMMANDS = [
    [],
    ["aep"],
    ["aep", "plan"],
    ["aep", "apply"],
    ["aep", "show"],
    ["aep", "destroy"],
    ["doctor"],
    ["status"],
    ["reconcile"],
    ["catalog"],
    ["dead-letters"],
    ["dead-letters", "list"],
    ["dead-letters", "show"],
    ["dead-letters", "replay"],
    ["completion"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("columns", [60, 80, 140])
def test_every_command_has_help(
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
    assert out.startswith(" ".join(["usage: pendo-aep", *arguments]))
    assert "Exit code: 0 " in out
    assert "Examples:" in out
    prose = [line for line in out.splitlines() if not line.startswith("  ")]
    assert max(map(len, prose)) <= columns


def test_help_lists_the_commands_with_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    """One line each, in the order in which a newcomer needs them."""
    with pytest.raises(SystemExit):
        main(["--help"])

    out = capsys.readouterr().out
    listed = out.partition("COMMAND\n")[2].partition("\n\n")[0].splitlines()
    commands = ["aep", "doctor", "catalog", "status", "reconcile", "dead-letters"]
    commands.append("completion")
    assert [line.split()[0] for line in listed] == commands
    assert all(len(line.split()) > 1 for line in listed)


def test_the_version_is_that_of_the_project(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a checkout that is not installed, which says so."""
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    monkeypatch.setattr(options, "_DISTRIBUTION", "nobody-has-installed-this")

    with pytest.raises(SystemExit) as exit_:
        main(["--version"])

    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"pendo-aep {version} (not installed)\n"


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="no command"),
        pytest.param(["aep"], id="no action"),
        pytest.param(["aep", "apply", "--source", "kafka"], id="source"),
        pytest.param(["aep", "apply", "--wait", "-1"], id="aep wait"),
        pytest.param(["aep", "show", "--profile"], id="option of another action"),
        pytest.param(["status", "--since", "yesterday"], id="status since: a word"),
        pytest.param(["reconcile"], id="reconcile: no span"),
        pytest.param(["reconcile", "--since", "1d", "--late-after", "soon"], id="late-after"),
        pytest.param(["aep", "apply", "--follow", "25h"], id="follow: too long"),
        pytest.param(["aep", "apply", "--follow", "soon"], id="follow: a word"),
        pytest.param(["doctor", "--wait", "soon"], id="doctor wait: a word"),
        pytest.param(["doctor", "--wait", "nan"], id="doctor wait: no number"),
        pytest.param(["doctor", "--wait", "3601"], id="doctor wait: too long"),
        pytest.param(
            ["doctor", "--config", "my.env", "--receive-url", "http://127.0.0.1"], id="two targets"
        ),
        pytest.param(["dead-letters", "replay", "--since", "yesterday"], id="time"),
        pytest.param(["dead-letters", "list", "--reason", "because"], id="reason"),
        pytest.param(["dead-letters", "list", "--wait", "0"], id="dead-letters wait"),
        pytest.param(["dead-letters", "show"], id="no ID"),
        pytest.param(["completion", "nushell"], id="shell"),
    ],
)
def test_a_usage_error_exits_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """And shows the usage of the command on stderr."""
    with pytest.raises(SystemExit) as exit_:
        main(arguments)

    assert exit_.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("usage: pendo-aep ")


def test_help_imports_no_large_package() -> None:
    """Help answers at once: neither Google's clients nor any other package is loaded for it."""
    script = (
        "import sys\n"
        "from pendo_aep.__main__ import main\n"
        "try: main(['aep', 'apply', '--help'])\n"
        "except SystemExit: pass\n"
        "large = {'aiohttp', 'google.api_core', 'grpc', 'orjson', 'pydantic', 'rich', 'shtab'}\n"
        "sys.exit(', '.join(sorted(large & set(sys.modules))) or 0)\n"
    )
    ran = run_python(script)

    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    ("package", "arguments", "prog"),
    [
        ("rich", ["dead-letters", "list"], "pendo-aep dead-letters list"),
        ("shtab", ["completion", "bash"], "pendo-aep completion"),
        ("psycopg", ["reconcile", "--since", "1d"], "pendo-aep reconcile"),
    ],
)
def test_a_missing_package_is_named(package: str, arguments: list[str], prog: str) -> None:
    """The functions do not need these, so they may not be installed."""
    without = f"import sys; sys.modules[{package!r}] = None; "
    ran = run_python(f"{without}from pendo_aep.__main__ import main; sys.exit(main({arguments}))")

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"{prog}: {package} is not installed: pip install ")
    assert ran.stderr.count("\n") == 1


def run_python(script: str) -> subprocess.CompletedProcess[str]:
    """Runs a script in a fresh Python, where nothing is imported yet."""
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        check=False,
        cwd=PROJECT,
        text=True,
        timeout=60,
    )

"""`status` as people run it: what it prints, and its exit code."""

from __future__ import annotations

import io
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pendo_aep.__main__ import main
from pendo_aep.cli.status import as_json, print_status, sparkline
from pendo_aep.lake.status import Failure, Hour, Status
from pendo_aep.lake.target import Target
from tests.unit.cli.cli_harness import env_file, run, run_process
from tests.unit.lake.adobe import at
from tests.unit.lake.lake_harness import events, send_events
from tests.unit.provisioning.harness import Harness, new_harness, only

STATUS = Status(
    at("09:00"),
    at("12:00"),
    Target("flow-1", "dataset-1", "pendo_events"),
    (
        Hour(at("09:00"), 1200, 1190, 10),
        Hour(at("10:00")),
        Hour(at("11:00"), 40, 40, 0, is_from_batches=True),
    ),
    (
        Failure("MAPPER-3700-400", "expected data type was: date-time", 6, "b1"),
        Failure("MAPPER-3700-400", "another", 2, "b2"),
        Failure("", "no reason \x1b[31m", 2, ""),
    ),
)
TEXT = """\
dataflow flow-1, dataset dataset-1
2026-01-31 09:00 to 2026-01-31 12:00 UTC

hour (UTC)         received  stored  failed
2026-01-31 09:00      1,200   1,190      10
2026-01-31 11:00*        40      40       0
3 hours               1,240   1,230      10
* counted from batches: no flow run of that hour is to be seen

failures
        8  MAPPER-3700-400
           expected data type was: date-time
           batch b1, b2
"""


class Terminal(io.StringIO):
    """A terminal that keeps what is written."""

    def isatty(self) -> bool:
        """Returns True: it is one."""
        return True


def test_plain_text() -> None:
    """One line for each hour with records, one block for each code; no escapes, no plot."""
    file = io.StringIO()

    print_status(STATUS, file)

    text = file.getvalue()
    assert text.startswith(TEXT)
    assert "aep plan --check" in text
    assert "(no code)\n           no reason \\x1b[31m\n" in text
    assert "▁" not in text
    assert "\x1b" not in text


def test_a_terminal_shows_a_plot(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hour, with the empty ones."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    file = Terminal()

    print_status(STATUS, file)

    lines = file.getvalue().splitlines()
    assert next("█ ▁" in line for line in lines if "received  " in line)
    assert any("failed" in line and "█" in line for line in lines)


@pytest.mark.parametrize(
    ("counts", "width", "bars"),
    [
        ([0, 1, 8], 10, " ▁█"),
        ([1, 1000], 10, "▁█"),
        ([5, 0, 0], 10, "█"),
        ([1, 1, 0, 2, 8, 0], 3, "▂▂█"),
        ([0, 0], 10, ""),
        ([], 10, ""),
    ],
)
def test_sparkline(counts: list[int], width: int, bars: str) -> None:
    """What is above 0 shows, however small; many share the width."""
    assert sparkline(counts, width) == bars


def test_json_has_the_keys_of_the_contract() -> None:
    """One object, every hour of the span."""
    shown = json.loads(as_json(STATUS))

    assert list(shown) == ["since", "until", "flow", "dataset", "hours", "failures"]
    assert shown["since"] == "2026-01-31T09:00:00.000Z"
    assert shown["hours"][1] == {
        "start": "2026-01-31T10:00:00.000Z",
        "received": 0,
        "stored": 0,
        "failed": 0,
    }
    assert shown["failures"][0] == {
        "code": "MAPPER-3700-400",
        "message": "expected data type was: date-time",
        "records": 6,
        "batch": "b1",
    }


@pytest.fixture
async def adobe() -> AsyncIterator[Harness]:
    """With a dataflow that has stored two events, and could not store one."""
    async with new_harness() as harness:
        await harness.apply()
        await send_events(harness, *events("a", "b"), *events("c", occurredAt="yesterday"))
        yield harness


@pytest.mark.process
async def test_it_tells_what_failed(adobe: Harness, tmp_path: Path) -> None:
    """In a pipe as text or JSON, with the settings of a file; exit 1, as something failed."""
    config = env_file(tmp_path / "my.env", adobe.environ)

    shown = await run_process("status", "--config", config, settings={})
    assert (shown.code, shown.err) == (1, "")
    assert "        1  MAPPER-3700-400\n" in shown.out
    assert "\n25 hours" in shown.out

    as_object = await run("status", "--json", "--since", "90s", settings=adobe.environ)
    assert as_object.code == 1
    (found,) = as_object.lines
    assert sum(hour["stored"] for hour in found["hours"]) == 2
    assert [(one["records"], one["code"]) for one in found["failures"]] == [(1, "MAPPER-3700-400")]
    assert found["flow"] == only(adobe.state.flows).id
    assert found["dataset"] == only(adobe.state.datasets).id


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--since", "2099-01-01T00:00:00Z"], 2, "is in the future"),
        (["--since", "1h", "--until", "2h"], 2, "is it the other way round?"),
        ([], 1, "AEP_CLIENT_ID: is missing"),
        (["--config", "nothing.env"], 1, "nothing.env cannot be read"),
    ],
)
def test_what_cannot_be_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    code: int,
    says: str,
) -> None:
    """A span that is none is a usage error; settings that are none, a failure."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("AEP_"):
            monkeypatch.delenv(name)

    assert main(["status", *arguments]) == code

    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("pendo-aep status: ")
    assert says in written.err

"""`status`: shows what AEP stored of what it accepted, and what failed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final, TextIO

from rich.console import Console
from rich.text import Text

from pendo_aep import clock, logs
from pendo_aep.cli.config_file import read_environment
from pendo_aep.cli.terminal import ShowProgress, complain, printable, progress, run_interruptibly
from pendo_aep.clock import rfc3339
from pendo_aep.lake.advice import advice_for
from pendo_aep.lake.status import Failure, Hour, Status, read_status
from pendo_aep.lake.target import find_target
from pendo_aep.provisioning.client import RetryPolicy
from pendo_aep.provisioning.connection import open_client
from pendo_aep.provisioning.errors import PlatformError
from pendo_aep.settings import LakeSettings, SettingsError, load

_USAGE: Final = 2
# Adobe: "Retrieving data ingestion error diagnostics".
_KEPT: Final = timedelta(days=30)
_BARS: Final = "▁▂▃▄▅▆▇█"
_LABEL: Final = len("received  ")
_MAX_BATCHES: Final = 3
_NO_REASONS: Final = (
    "error diagnostics are off, so AEP does not keep why records fail: switch them on with "
    "`pendo-aep aep apply`. They hold for what comes after that"
)


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code: 1 if anything failed.

    Raises:
        KeyboardInterrupt: somebody stopped it.
    """
    now = clock.now()
    until = min(options.until or now, now)
    if wrong := _wrong_span(options.since, options.until, now):
        complain(options, wrong)
        return _USAGE
    try:
        settings = load(LakeSettings, read_environment(options.config))
        with progress(sys.stderr) as show, logs.silence():
            status = run_interruptibly(_read(settings, options.since, until, show))
    except (SettingsError, PlatformError) as error:
        complain(options, str(error))
        return 1
    if options.json:
        sys.stdout.write(as_json(status))
    else:
        print_status(status, sys.stdout)
    for text in _notes(status, now):
        complain(options, text)
    return 0 if status.is_success else 1


async def _read(
    settings: LakeSettings, since: datetime, until: datetime, show: ShowProgress
) -> Status:
    async with open_client(settings, RetryPolicy()) as client:
        show("dataflow and dataset")
        return await read_status(client, await find_target(client, settings), since, until, show)


def _wrong_span(since: datetime, until: datetime | None, now: datetime) -> str:
    if since >= now:
        return f"--since {rfc3339(since)} is in the future: give a time that is past, or an age"
    if until is not None and until <= since:
        return (
            f"--until {rfc3339(until)} is not after --since {rfc3339(since)}: is it the other way "
            "round?"
        )
    return ""


def _notes(status: Status, now: datetime) -> Iterable[str]:
    """Yields what limits the result, for standard error."""
    for text in status.unread:
        yield f"not read: {printable(text)}"
    if status.lacks_reasons:
        yield _NO_REASONS
    if now - status.since > _KEPT:
        yield f"AEP keeps failed records and their reasons for {_KEPT.days} days only"


def as_json(status: Status) -> str:
    """Returns the status as one line of JSON, whose keys do not change."""
    shown = {
        "since": rfc3339(status.since),
        "until": rfc3339(status.until),
        "flow": status.target.flow_id,
        "dataset": status.target.dataset_id,
        "hours": [
            {
                "start": rfc3339(hour.start),
                "received": hour.received,
                "stored": hour.stored,
                "failed": hour.failed,
            }
            for hour in status.hours
        ],
        "failures": [
            {
                "code": failure.code,
                "message": failure.message,
                "records": failure.records,
                "batch": failure.batch,
            }
            for failure in status.failures
        ],
    }
    return json.dumps(shown) + "\n"


def print_status(status: Status, file: TextIO) -> None:
    """Writes the status for a person: on a terminal with a plot, in a pipe as plain text."""
    console = Console(file=file, highlight=False, soft_wrap=True)
    target, hours = status.target, status.hours
    console.print(
        Text(f"dataflow {printable(target.flow_id)}, dataset {printable(target.dataset_id)}")
    )
    console.print(Text(f"{_time(status.since)} to {_time(status.until)} UTC"))
    if console.is_terminal and any(hour.received for hour in hours):
        console.print()
        for name, counts, style in (
            ("received", [hour.received for hour in hours], "cyan"),
            ("stored", [hour.stored for hour in hours], "green"),
            ("failed", [hour.failed for hour in hours], "red"),
        ):
            most = f"  at most {max(counts):,} an hour"
            bars = sparkline(counts, console.width - _LABEL - len(most))
            console.print(Text(name.ljust(_LABEL)) + Text(bars, style) + Text(most, "dim"))
    console.print()
    _print_hours(hours, console)
    if status.failures:
        console.print("\nfailures", style="bold")
    by_code = sorted(status.failures, key=lambda failure: failure.code)
    groups = [list(found) for _, found in groupby(by_code, key=lambda failure: failure.code)]
    for group in sorted(groups, key=_records, reverse=True):
        _print_failures(group, console)


def sparkline(counts: Sequence[int], width: int) -> str:
    """Returns one bar for each count, or for several next to each other where width is short.

    A count above 0 never looks like 0, which is a space.
    """
    each = -(-len(counts) // max(width, 1))
    sums = [sum(counts[start : start + each]) for start in range(0, len(counts), max(each, 1))]
    most = max(sums, default=0)
    return "".join(_BARS[(one * (len(_BARS) - 1)) // most] if one else " " for one in sums).rstrip()


def _print_hours(hours: Sequence[Hour], console: Console) -> None:
    """Writes a line for each hour with records, and their sum."""
    shown = [hour for hour in hours if hour.received or hour.failed]
    rows = [
        ("hour (UTC)", "received", "stored", "failed"),
        *(
            (_time(hour.start) + ("*" if hour.is_from_batches else ""), *_counts(hour))
            for hour in shown
        ),
        (f"{len(hours):,} hour{'s' * (len(hours) > 1)}", *_counts(_total(hours))),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        line = Text("  ".join(cells))
        if row[3] not in ("0", "failed"):
            line.stylize("red", len(line) - len(row[3]))
        if number in (0, len(rows) - 1):
            line.stylize("bold")
        console.print(line)
    if any(hour.is_from_batches for hour in shown):
        console.print("* counted from batches: no flow run of that hour is to be seen")


def _total(hours: Sequence[Hour]) -> Hour:
    return Hour(
        hours[0].start,
        sum(hour.received for hour in hours),
        sum(hour.stored for hour in hours),
        sum(hour.failed for hour in hours),
    )


def _counts(hour: Hour) -> tuple[str, str, str]:
    return f"{hour.received:,}", f"{hour.stored:,}", f"{hour.failed:,}"


def _print_failures(group: Sequence[Failure], console: Console) -> None:
    """Writes the failures of one code: how many, AEP's words, the batches, the advice."""
    largest = max(group, key=lambda failure: failure.records)
    line = Text(f"{_records(group):>9,}  ")
    line.append(printable(largest.code) or "(no code)", "red")
    console.print(line)
    console.print(Text(f"           {printable(largest.message)}"))
    batches = [failure.batch for failure in group if failure.batch]
    if batches:
        more = f" and {len(batches) - _MAX_BATCHES:,} more" if len(batches) > _MAX_BATCHES else ""
        names = ", ".join(map(printable, batches[:_MAX_BATCHES]))
        console.print(Text(f"           batch {names}{more}"))
    console.print(Text(f"           what usually mends it: {advice_for(largest.code)}"))


def _records(group: Sequence[Failure]) -> int:
    return sum(failure.records for failure in group)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M")

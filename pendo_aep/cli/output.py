"""How the commands show things: tables and text for people, JSON for programs, and progress."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from pendo_aep.cli.letters import Letter, SharedDetail
from pendo_aep.cli.replay import Summary
from pendo_aep.clock import rfc3339

_HEADINGS = ("event id", "reason", "stage", "type", "failed at", "bytes", "detail")
_DETAIL_WIDTH = 80
_LEAST_DETAIL = 20
_GAP = 2


def as_json(letter: Letter, *, whole: bool = False) -> str:
    """A letter as one line of JSON; `whole` adds its attributes, and its data in base64."""
    told: dict[str, Any] = {
        "eventId": letter.event_id,
        "messageId": letter.message_id,
        "reason": letter.reason,
        "stage": letter.stage,
        "type": letter.event_type,
        "failedAt": rfc3339(letter.failed_at),
        "bytes": letter.size,
        "detail": letter.detail,
    }
    if whole:
        told["attributes"] = dict(letter.attributes)
        told["data"] = base64.b64encode(letter.data).decode()
    return json.dumps(told) + "\n"


def list_letters(letters: Sequence[Letter], file: TextIO) -> None:
    """A table, newest first, and the counts by reason; nothing of what the events hold."""
    rows = [_HEADINGS, *map(_row, newest_first(letters))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    console = Console(file=file, highlight=False)
    if letters and console.is_terminal:
        whole = sum(widths[:-1]) + len(widths) * _GAP
        # A narrow terminal breaks the lines by itself: nothing but the detail is ever cut.
        console.width = max(console.width, whole + _LEAST_DETAIL)
        console.print(_table(rows, console.width - whole))
    elif letters:
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            file.write((" " * _GAP).join(cells).rstrip() + "\n")
    counts = Counter(printable(letter.reason) or "no reason" for letter in letters)
    most_first = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    by_reason = ", ".join(f"{count:,} {reason}" for reason, count in most_first)
    total = "1 letter" if len(letters) == 1 else f"{len(letters):,} letters"
    file.write(f"{total}: {by_reason}\n" if counts else f"{total}\n")


def shared_detail_as_text(shared: SharedDetail) -> str:
    """Says that a setting may be wrong, and how to go on."""
    return (
        f"{shared.count:,} letters of the last hour have the same detail: "
        f"{printable(shared.detail)}\nA setting may be wrong, not the events. Correct it, then "
        f"replay them: python -m pendo_aep dead-letters replay --reason {shared.reason} --since 1h"
    )


def _row(letter: Letter) -> tuple[str, ...]:
    detail = printable(letter.detail)
    if len(detail) > _DETAIL_WIDTH:
        detail = detail[: _DETAIL_WIDTH - 1] + "…"
    return (
        printable(letter.event_id),
        printable(letter.reason) or "-",
        printable(letter.stage) or "-",
        printable(letter.event_type) or "-",
        rfc3339(letter.failed_at),
        str(letter.size),
        detail,
    )


def _table(rows: Sequence[tuple[str, ...]], detail_width: int) -> Table:
    table = Table(box=None, padding=(0, _GAP, 0, 0))
    *whole, detail = rows[0]
    for heading in whole:
        table.add_column(heading, no_wrap=True)
    table.add_column(detail, no_wrap=True, overflow="ellipsis", max_width=detail_width)
    for row in rows[1:]:
        table.add_row(*map(Text, row))  # not markup: what stands in a letter came from elsewhere
    return table


def show_letter(letter: Letter, file: TextIO) -> None:
    """All of one letter: its attributes, an empty line, and the original bytes as text."""
    attributes = {"messageId": letter.message_id, **letter.attributes}
    file.writelines(f"{printable(key)}: {printable(text)}\n" for key, text in attributes.items())
    file.write(f"\n{data_as_text(letter.data)}\n")


def summary_as_text(summary: Summary, *, is_dry_run: bool) -> str:
    """What a replay has done, one count a line."""
    verb = "would be replayed" if is_dry_run else "replayed"
    counts = [
        (summary.replayed, verb),
        (summary.unreadable, "still unreadable: they stay letters"),
        (summary.left, "left by the filter"),
        *((count, f"failed ({why}): they stay letters") for why, count in summary.failed.items()),
    ]
    if summary.newer:
        counts.append((summary.newer, "came while this ran: run it again for them"))
    return "".join(f"{count:>9,} {what}\n" for count, what in counts)


def summary_as_json(summary: Summary, *, is_dry_run: bool) -> str:
    """The same as one line of JSON."""
    told = {
        "dryRun": is_dry_run,
        "replayed": summary.replayed,
        "unreadable": summary.unreadable,
        "left": summary.left,
        "newer": summary.newer,
        "failed": dict(summary.failed),
        "complete": summary.is_complete,
    }
    return json.dumps(told) + "\n"


@contextmanager
def progress(file: TextIO) -> Iterator[Callable[[str], None]]:
    """Shows on a terminal how far things are: call it with what to say. Elsewhere, nothing."""
    console = Console(file=file)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    # Pub/Sub does not say how many there are, so there is no end to draw a bar towards.
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as shown:
        task = shown.add_task("connecting")
        yield lambda text: shown.update(task, description=text)


def newest_first(letters: Sequence[Letter]) -> list[Letter]:
    """The letters in the order of the list."""
    return sorted(letters, key=lambda letter: letter.failed_at, reverse=True)


def data_as_text(data: bytes) -> str:
    """JSON with indentation; anything else in one line, with escapes for what is no text."""
    try:
        text = json.dumps(json.loads(data), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):  # a letter may well be one for its depth
        return printable(data.decode("utf-8", "backslashreplace"))
    return "\n".join(map(printable, text.split("\n")))


def printable(text: str) -> str:
    """The text without anything that a terminal would obey."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )

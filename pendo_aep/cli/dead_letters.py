"""`dead-letters list | show | replay`: runs the command with the options it was given."""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TextIO, TypeAlias

import grpc.aio
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pendo_aep import clock, logs
from pendo_aep.cli.config_file import read_environment, use_emulator
from pendo_aep.cli.dead_letter import DeadLetter, DeadLetterFilter, SharedDetail, shared_detail
from pendo_aep.cli.dead_letter_reader import (
    DeadLetterReader,
    explain,
    find_subscription,
    open_channel,
    read_all,
)
from pendo_aep.cli.dead_letter_replay import Replay, Summary
from pendo_aep.cli.options import NAME
from pendo_aep.cli.terminal import (
    CommandFailed,
    ShowProgress,
    complain,
    printable,
    printable_lines,
    progress,
    run_interruptibly,
)
from pendo_aep.clock import rfc3339
from pendo_aep.pubsub.client import CallFailed, pubsub_connection
from pendo_aep.pubsub.publisher import Publisher
from pendo_aep.settings import ReceiveSettings, SettingsError, load

Work: TypeAlias = Callable[[grpc.aio.Channel, DeadLetterReader, ShowProgress], Awaitable[None]]

# No others: a wrong setting of a function must not keep anybody from reading the dead letters.
_SETTINGS: Final = ("GOOGLE_CLOUD_PROJECT", "DEAD_LETTER_TOPIC", "PUBSUB_TOPIC", "REDACT")
_HEADINGS: Final = ("event id", "reason", "stage", "type", "failed at", "bytes", "detail")
_DETAIL_WIDTH: Final = 80
_LEAST_DETAIL: Final = 20
_GAP: Final = 2


class DeadLetterSettings(ReceiveSettings):
    """The settings of `receive`, so that names, checks and defaults cannot differ from it.

    Only `_SETTINGS` are read.
    """

    @classmethod
    def needed(cls, given: Mapping[str, object]) -> tuple[str, ...]:  # noqa: ARG003 (the base's)
        """Requires nothing more: no webhook is received, so there is no signature to check."""
        return ()

    def subscription_path(self, subscription: str) -> str:
        """Returns `projects/P/subscriptions/S` of a subscription, given by name or by path."""
        return self._path(subscription, "subscriptions")


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code: 0 only on success.

    Raises:
        KeyboardInterrupt: somebody stopped it, by Ctrl-C or SIGTERM; everything was given back.
    """
    action = {"list": _list, "show": _show, "replay": _replay}[options.action]
    try:
        environment = read_environment(options.config)
        use_emulator(environment)
        environ = {name: text for name, text in environment.items() if name in _SETTINGS}
        return action(options, load(DeadLetterSettings, environ))
    except (SettingsError, CommandFailed) as error:
        complain(options, str(error))
    except CallFailed as error:
        complain(options, explain(error))
    return 1


def _list(options: argparse.Namespace, settings: DeadLetterSettings) -> int:
    letters, is_complete = _collect(options, settings, _filter(options).matches)
    if options.json:
        sys.stdout.writelines(map(as_json, newest_first(letters)))
    else:
        print_table(letters, sys.stdout)
    if shared := shared_detail(letters, clock.now()):
        sys.stderr.write(_advice(shared))
    if not is_complete:
        _tell_bound(options)
    return 0


def _show(options: argparse.Namespace, settings: DeadLetterSettings) -> int:
    def is_wanted(letter: DeadLetter) -> bool:
        return options.id in (letter.event_id, letter.message_id)

    letters, is_complete = _collect(options, settings, is_wanted)
    for number, letter in enumerate(newest_first(letters)):
        if options.json:
            sys.stdout.write(as_json(letter, whole=True))
        else:
            sys.stdout.write("\n" if number else "")
            print_whole(letter, sys.stdout)
    if not letters:
        complain(options, f"no dead letter with ID {options.id}")
    if not is_complete:
        _tell_bound(options)
    return 0 if letters else 1


def _replay(options: argparse.Namespace, settings: DeadLetterSettings) -> int:
    summary: Summary | None = None
    topic = settings.topic_path(settings.pubsub_topic)

    async def work(channel: grpc.aio.Channel, reader: DeadLetterReader, show: ShowProgress) -> None:
        nonlocal summary
        summary = counts = Summary()
        events = None if options.dry_run else Publisher(topic, pubsub_connection(lambda: channel))
        replay = Replay(reader, events, _filter(options), settings.redact, counts)

        async def handle(letters: Sequence[DeadLetter]) -> None:
            await replay(letters)
            show(f"{counts.replayed:,} replayed, {counts.kept:,} kept")

        await read_all(reader, handle)
        counts.is_complete = not (reader.is_full or reader.is_stopped)

    try:
        _with_reader(options, settings, work)
    finally:  # what was done is shown, whatever ended it
        if summary is not None:
            show = summary_as_json if options.json else summary_as_text
            sys.stdout.write(show(summary, is_dry_run=options.dry_run))
    assert summary is not None  # noqa: S101 (else it has raised)
    if summary.failed and not summary.is_complete:
        complain(options, f"stopped: publishing to {topic} fails")
    elif not summary.is_complete:
        _tell_bound(options)
    return 0 if summary.is_success else 1


def _collect(
    options: argparse.Namespace,
    settings: DeadLetterSettings,
    is_wanted: Callable[[DeadLetter], bool],
) -> tuple[list[DeadLetter], bool]:
    """Returns the wanted dead letters, all given back, and whether every one was looked at."""
    found: list[DeadLetter] = []
    is_complete = False
    is_data_shown = options.action == "show"

    async def work(_: grpc.aio.Channel, reader: DeadLetterReader, show: ShowProgress) -> None:
        nonlocal is_complete

        async def handle(letters: Sequence[DeadLetter]) -> None:
            wanted = filter(is_wanted, letters)
            # A list of many must not hold in memory what it does not show.
            found.extend(wanted if is_data_shown else (replace(x, data=b"") for x in wanted))
            show(f"{len(found):,} dead letters")

        await read_all(reader, handle)
        is_complete = not reader.is_full

    _with_reader(options, settings, work)
    return found, is_complete


def _filter(options: argparse.Namespace) -> DeadLetterFilter:
    return DeadLetterFilter(
        reasons=frozenset(options.reason),
        types=frozenset(options.type),
        since=options.since,
        until=options.until,
    )


def _with_reader(options: argparse.Namespace, settings: DeadLetterSettings, work: Work) -> None:
    """Does the work with an open reader; afterwards all that it still holds is given back."""

    async def session(show: ShowProgress) -> None:
        async with open_channel() as channel:
            if options.subscription:
                subscription = settings.subscription_path(options.subscription)
            else:
                topic = settings.topic_path(settings.dead_letter_topic)
                subscription = await find_subscription(channel, topic)
            async with DeadLetterReader(
                channel, subscription, wait=options.wait, hold=options.hold
            ) as reader:
                await work(channel, reader, show)

    with progress(sys.stderr) as show, logs.silence():
        run_interruptibly(session(show))


def _tell_bound(options: argparse.Namespace) -> None:
    held = f"at most {options.hold:,} are held at a time (--hold)"
    complain(options, f"there may be more dead letters: {held}")


def _advice(shared: SharedDetail) -> str:
    return (
        f"{shared.count:,} dead letters of the last hour have the same detail: "
        f"{printable(shared.detail)}\nThe cause may be a wrong setting, not the events. Fix it, "
        f"then replay them: {NAME} dead-letters replay --reason {shared.reason} --since 1h\n"
    )


def newest_first(letters: Sequence[DeadLetter]) -> list[DeadLetter]:
    """Returns the dead letters in the order of the list."""
    return sorted(letters, key=lambda letter: letter.failed_at, reverse=True)


def print_table(letters: Sequence[DeadLetter], file: TextIO) -> None:
    """Writes a table, newest first, and the counts by reason; no content of the events."""
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
    total = "1 dead letter" if len(letters) == 1 else f"{len(letters):,} dead letters"
    file.write(f"{total}: {by_reason}\n" if counts else f"{total}\n")


def _row(letter: DeadLetter) -> tuple[str, ...]:
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
        table.add_row(*map(Text, row))  # not markup: what is in a dead letter came from elsewhere
    return table


def as_json(letter: DeadLetter, *, whole: bool = False) -> str:
    """Returns one line of JSON; `whole` adds the attributes, and the data in base64."""
    shown: dict[str, Any] = {
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
        shown["attributes"] = dict(letter.attributes)
        shown["data"] = base64.b64encode(letter.data).decode()
    return json.dumps(shown) + "\n"


def print_whole(letter: DeadLetter, file: TextIO) -> None:
    """Writes all of one dead letter: attributes, an empty line, and the original bytes as text."""
    attributes = {"messageId": letter.message_id, **letter.attributes}
    file.writelines(f"{printable(key)}: {printable(text)}\n" for key, text in attributes.items())
    file.write(f"\n{data_as_text(letter.data)}\n")


def data_as_text(data: bytes) -> str:
    """Returns JSON indented, and anything else as one line with escapes for what is not text."""
    try:
        text = json.dumps(json.loads(data), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):  # its depth may be why it is a dead letter
        return printable(data.decode("utf-8", "backslashreplace"))
    return printable_lines(text)


def summary_as_text(summary: Summary, *, is_dry_run: bool) -> str:
    """Returns what a replay has done, one count a line."""
    counts = [
        (summary.replayed, "would be replayed" if is_dry_run else "replayed"),
        (summary.unreadable, "kept: still unreadable"),
        (summary.left, "kept: do not match the filter"),
        *((count, f"kept: failed ({why})") for why, count in summary.failed.items()),
    ]
    if summary.newer:
        counts.append((summary.newer, "kept: published while this ran; run it again for them"))
    return "".join(f"{count:>9,} {what}\n" for count, what in counts)


def summary_as_json(summary: Summary, *, is_dry_run: bool) -> str:
    """Returns the same as one line of JSON."""
    shown = {
        "dryRun": is_dry_run,
        "replayed": summary.replayed,
        "unreadable": summary.unreadable,
        "left": summary.left,
        "newer": summary.newer,
        "failed": dict(summary.failed),
        "complete": summary.is_complete,
    }
    return json.dumps(shown) + "\n"

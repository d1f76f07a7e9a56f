"""`dead-letters list | show | replay`: what the command does with the options it was given."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import grpc.aio
from google.api_core.exceptions import GoogleAPIError

from pendo_aep import clock, logs
from pendo_aep.cli import output
from pendo_aep.cli.connection import find_subscription, open_channel, subscriber
from pendo_aep.cli.errors import CommandFailed, explain
from pendo_aep.cli.letter_box import LetterBox, read_all
from pendo_aep.cli.letters import Filter, Letter, shared_detail
from pendo_aep.cli.replay import Replay, Summary
from pendo_aep.cli.settings import LetterSettings, read_settings
from pendo_aep.pubsub.client import pubsub_connection
from pendo_aep.pubsub.publisher import Publisher
from pendo_aep.settings import SettingsError

Say: TypeAlias = Callable[[str], None]
Work: TypeAlias = Callable[[grpc.aio.Channel, LetterBox, Say], Awaitable[None]]


def run(options: argparse.Namespace) -> int:
    """Does it, and answers the exit code: 0 only on success.

    Raises:
        KeyboardInterrupt: somebody stopped it, by Ctrl-C or SIGTERM; everything is in order.
    """
    action = {"list": _list, "show": _show, "replay": _replay}[options.action]
    try:
        settings = read_settings(os.environ)
        return action(options, settings)
    except SettingsError as error:
        problem = str(error)
    except CommandFailed as error:
        problem = str(error)
    except GoogleAPIError as error:
        problem = explain(error)
    _complain(options, problem)
    return 1


def _list(options: argparse.Namespace, settings: LetterSettings) -> int:
    letters, is_complete = _collect(options, settings, _filter(options).matches)
    if options.json:
        sys.stdout.writelines(map(output.as_json, output.newest_first(letters)))
    else:
        output.list_letters(letters, sys.stdout)
    if shared := shared_detail(letters, clock.now()):
        sys.stderr.write(output.shared_detail_as_text(shared) + "\n")
    if not is_complete:
        _tell_bound(options)
    return 0


def _show(options: argparse.Namespace, settings: LetterSettings) -> int:
    def is_meant(letter: Letter) -> bool:
        return options.id in (letter.event_id, letter.message_id)

    letters, is_complete = _collect(options, settings, is_meant)
    for number, letter in enumerate(output.newest_first(letters)):
        if options.json:
            sys.stdout.write(output.as_json(letter, whole=True))
        else:
            sys.stdout.write("\n" if number else "")
            output.show_letter(letter, sys.stdout)
    if not letters:
        _complain(options, f"there is no letter {options.id}")
    if not is_complete:
        _tell_bound(options)
    return 0 if letters else 1


def _replay(options: argparse.Namespace, settings: LetterSettings) -> int:
    summary: Summary | None = None
    topic = settings.topic_path(settings.pubsub_topic)

    async def work(channel: grpc.aio.Channel, box: LetterBox, say: Say) -> None:
        nonlocal summary
        summary = counts = Summary()
        events = None if options.dry_run else Publisher(topic, pubsub_connection(lambda: channel))
        replay = Replay(box, events, _filter(options), settings.redact, counts)

        async def handle(letters: Sequence[Letter]) -> None:
            await replay(letters)
            say(f"{counts.replayed:,} replayed, {counts.kept:,} stay")

        await read_all(box, handle)
        counts.is_complete = not (box.is_full or box.is_stopped)

    try:
        _with_box(options, settings, work)
    finally:  # what was done is told, whatever ended it
        if summary is not None:
            show = output.summary_as_json if options.json else output.summary_as_text
            sys.stdout.write(show(summary, is_dry_run=options.dry_run))
    assert summary is not None  # noqa: S101 (else it has raised)
    if summary.failed and not summary.is_complete:
        _complain(options, f"stopped: publishing to {topic} fails")
    elif not summary.is_complete:
        _tell_bound(options)
    return 0 if summary.is_success else 1


def _collect(
    options: argparse.Namespace, settings: LetterSettings, is_meant: Callable[[Letter], bool]
) -> tuple[list[Letter], bool]:
    """The letters that are meant, all given back; and whether every letter was looked at."""
    found: list[Letter] = []
    is_complete = False
    is_data_shown = options.action == "show"

    async def work(_channel: grpc.aio.Channel, box: LetterBox, say: Say) -> None:
        nonlocal is_complete

        async def handle(letters: Sequence[Letter]) -> None:
            meant = filter(is_meant, letters)
            # A list of many must not hold in memory what it does not show.
            found.extend(meant if is_data_shown else (replace(x, data=b"") for x in meant))
            say(f"{len(found):,} letters")

        await read_all(box, handle)
        is_complete = not box.is_full

    _with_box(options, settings, work)
    return found, is_complete


def _filter(options: argparse.Namespace) -> Filter:
    return Filter(
        reasons=frozenset(options.reason),
        types=frozenset(options.type),
        since=options.since,
        until=options.until,
    )


def _with_box(options: argparse.Namespace, settings: LetterSettings, work: Work) -> None:
    """Does the work with an open letter box; afterwards all that is left in it is given back."""

    async def session(say: Say) -> None:
        task = asyncio.current_task()
        if task is not None:  # as Ctrl-C: what is held goes back first
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        async with open_channel() as channel:
            if options.subscription:
                subscription = settings.subscription_path(options.subscription)
            else:
                topic = settings.topic_path(settings.dead_letter_topic)
                subscription = await find_subscription(channel, topic)
            async with LetterBox(
                subscriber(channel), subscription, wait=options.wait, hold=options.hold
            ) as box:
                await work(channel, box, say)

    with output.progress(sys.stderr) as say, logs.silence():
        try:
            asyncio.run(session(say))
        except asyncio.CancelledError:  # SIGTERM
            raise KeyboardInterrupt from None


def _tell_bound(options: argparse.Namespace) -> None:
    held = f"{options.hold:,} are held at a time (--hold)"
    _complain(options, f"there may be more letters: not more than {held}")


def _complain(options: argparse.Namespace, problem: str) -> None:
    sys.stderr.write(f"{options.prog}: {problem}\n")

"""`reconcile`: says of every published event whether it is stored, and if not, why."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from pendo_aep import clock, logs
from pendo_aep.cli import status
from pendo_aep.cli.config_file import EMULATOR, read_environment, use_emulator
from pendo_aep.cli.dead_letter_reader import explain, open_channel
from pendo_aep.cli.options import NAME
from pendo_aep.cli.terminal import (
    CommandFailed,
    ShowProgress,
    complain,
    printable,
    progress,
    run_interruptibly,
)
from pendo_aep.clock import rfc3339
from pendo_aep.lake.query_errors import NotPermitted
from pendo_aep.lake.query_service import QueryService
from pendo_aep.lake.reconcile import Replayed, reconcile, replay_missing
from pendo_aep.lake.sources import PipelineSources, PubSubNames
from pendo_aep.lake.status import Status, read_status
from pendo_aep.lake.target import find_target, read_dataset
from pendo_aep.lake.topic import NotAllowed, Patience, TopicError, TopicReader
from pendo_aep.lake.verdicts import EventVerdict, Summary, Verdict, Verdicts
from pendo_aep.provisioning.client import RetryPolicy
from pendo_aep.provisioning.connection import open_client
from pendo_aep.provisioning.errors import PlatformError
from pendo_aep.pubsub.client import CallFailed, pubsub_connection
from pendo_aep.pubsub.publisher import Publisher
from pendo_aep.settings import LakeSettings, SettingsError, load

_USAGE: Final = 2
_VERDICT_WIDTH: Final = max(map(len, Verdict))


class _OnlyCounts(Exception):
    """Query Service may not be used, so there are counts by hour and no verdicts."""

    def __init__(self, text: str, counts: Status) -> None:
        super().__init__(text)
        self.counts = counts


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code: 1 if anything failed, is missing, or is dead.

    Raises:
        KeyboardInterrupt: somebody stopped it, by Ctrl-C or SIGTERM; nothing is left behind.
    """
    now = clock.now()
    until = options.until or now
    if wrong := _wrong_usage(options, until, now):
        complain(options, wrong)
        return _USAGE
    try:
        return _Command(options, _read_settings(options), options.since, until).run()
    except (SettingsError, CommandFailed, PlatformError, TopicError) as error:
        complain(options, str(error))
    except CallFailed as error:
        complain(options, explain(error))
    except _OnlyCounts as error:
        complain(
            options,
            f"{error}\nwithout it nobody can say which events are stored, so these "
            "are only the counts by hour, as `status` shows them",
        )
        if options.json:
            sys.stdout.write(status.as_json(error.counts))
        else:
            status.print_status(error.counts, sys.stdout)
    return 1


def _read_settings(options: argparse.Namespace) -> LakeSettings:
    environment = read_environment(options.config)
    use_emulator(environment)
    settings = load(LakeSettings, environment)
    if not settings.google_cloud_project:
        raise SettingsError(["GOOGLE_CLOUD_PROJECT is missing: the project of the topic"])
    return settings


def _wrong_usage(options: argparse.Namespace, until: datetime, now: datetime) -> str:
    """Returns what is wrong with the options; empty if nothing is."""
    if options.source != "topic":
        return (
            f"--source {options.source}: there is no archive yet, so events can only be read from "
            "the topic, as far back as its retention goes: leave --source out"
        )
    if options.since >= now:
        return f"--since {rfc3339(options.since)} is in the future: nothing is published yet"
    if until > now:
        return f"--until {rfc3339(until)} is in the future: leave it out for now"
    if until <= options.since:
        return (
            f"--until {rfc3339(until)} is not after --since {rfc3339(options.since)}: is it the "
            "other way round?"
        )
    return ""


class _Command:
    """One run, with the span and the settings that it was given."""

    def __init__(
        self,
        options: argparse.Namespace,
        settings: LakeSettings,
        since: datetime,
        until: datetime,
    ) -> None:
        self._options = options
        self._settings = settings
        self._names = PubSubNames.of(settings)
        self._since = since
        self._until = until

    def run(self) -> int:
        """Shows the verdicts and returns the exit code."""
        as_json, is_replay = self._options.json, self._options.replay_missing
        with Verdicts() as verdicts:
            with progress(sys.stderr) as show, logs.silence():
                summary = run_interruptibly(self._reconcile(verdicts, show))
            shown = verdicts.events(all_events=self._options.all)
            sys.stdout.writelines(map(_as_json if as_json else _as_text, shown))
            sys.stdout.write((_summary_as_json if as_json else _summary_as_text)(summary))
            sys.stdout.flush()
            for note in self._notes(summary, verdicts):
                complain(self._options, note)
            if is_replay and summary.missing:
                self._replay_missing(verdicts)
        return 0 if summary.is_success else 1

    def _replay_missing(self, verdicts: Verdicts) -> None:
        replayed = Replayed()
        try:
            with progress(sys.stderr) as show, logs.silence():
                run_interruptibly(self._replay(verdicts, replayed, show))
        finally:  # what was done is shown, whatever ended it
            complain(
                self._options,
                f"{replayed.published:,} missing events were published again: run this once more "
                "when AEP has had the time, with the same --since and --until",
            )
        for reason, count in replayed.failed.items():
            complain(self._options, f"{count:,} were not ({reason}): run it again")

    async def _reconcile(self, verdicts: Verdicts, show: ShowProgress) -> Summary:
        late_after = self._options.late_after
        async with self._sources(show) as (sources, _):
            summary = await reconcile(sources, verdicts, self._since, self._until, late_after, show)
            for path in sources.absent:
                complain(self._options, f"{path} does not exist, so nothing waits in it")
            return summary

    async def _replay(self, verdicts: Verdicts, replayed: Replayed, show: ShowProgress) -> None:
        async with self._sources(show) as (sources, topic):
            await replay_missing(sources, verdicts, topic, self._since, self._until, replayed, show)

    @asynccontextmanager
    async def _sources(
        self, show: ShowProgress
    ) -> AsyncIterator[tuple[PipelineSources, Publisher]]:
        """Connects to everything that is read; AEP first, which is most often set wrong."""
        settings = self._settings
        async with open_client(settings, RetryPolicy()) as client:
            show("connecting to AEP")
            target = await find_target(client, settings)
            if not target.table:
                await read_dataset(client, target.dataset_id)  # raises if it may not be seen
            is_encrypted = settings.aep_platform_url.startswith("https:")
            async with QueryService(client, is_encrypted=is_encrypted) as service:
                try:
                    await service.check(target.table)
                except NotPermitted as error:
                    counts = await read_status(client, target, self._since, self._until, show)
                    raise _OnlyCounts(str(error), counts) from None
                show("connecting to Pub/Sub")
                async with open_channel() as channel:
                    reader = TopicReader(channel, settings.google_cloud_project, _patience())
                    await self._remove_leftovers(reader)
                    topic = Publisher(self._names.topic, pubsub_connection(lambda: channel))
                    yield PipelineSources(reader, self._names, client, service, target), topic
                    for path in reader.left_behind:
                        complain(self._options, f"could not be deleted: {path}; the next run will")

    async def _remove_leftovers(self, reader: TopicReader) -> None:
        try:
            removed = await reader.remove_leftovers()
        except NotAllowed:
            return  # to list them is another right; what an earlier run left ends by itself
        for path in removed:
            complain(self._options, f"deleted {path}, which a run that was killed had left")

    def _notes(self, summary: Summary, verdicts: Verdicts) -> Iterator[str]:
        """Yields what else there is to say, for standard error."""
        if verdicts.unattributed:
            yield (
                f"AEP does not say which events {verdicts.unattributed:,} failed records are, so "
                f"those are among the late and missing: see {NAME} status"
            )
        if summary.failed:
            yield f"what usually mends failures: {NAME} status --since {rfc3339(self._since)}"
        if summary.dead_letter:
            yield f"for the dead letters: {NAME} dead-letters list"
        if summary.missing and not self._options.replay_missing:
            yield "to publish what is missing again: --replay-missing"


def _patience() -> Patience:
    """Returns when a reading of Pub/Sub is complete: an emulator on this machine is quick."""
    if os.environ.get(EMULATOR):
        return Patience(quiet_seconds=2.0, settle_seconds=0.0, pull_seconds=2.0)
    return Patience()


def _as_json(event: EventVerdict) -> str:
    shown = {
        "id": event.id,
        "type": event.type,
        "verdict": event.verdict,
        "times": event.times,
        "publishedAt": rfc3339(event.published_at),
        "stage": event.stage,
        "code": event.code,
        "message": event.message,
        "batch": event.batch,
    }
    return json.dumps(shown) + "\n"


def _as_text(event: EventVerdict) -> str:
    """Returns one line: the verdict, when it was published, its id and type, and why."""
    times = f" {event.times} times" if event.times > 1 else ""
    why = ": ".join(part for part in (event.stage, event.code, event.message) if part)
    batch = f" (batch {event.batch})" if event.batch else ""
    cells = [
        event.verdict.ljust(_VERDICT_WIDTH),
        rfc3339(event.published_at),
        event.id,
        event.type + times,
        why + batch,
    ]
    return printable("  ".join(cells).rstrip()) + "\n"


def _summary_as_json(summary: Summary) -> str:
    return json.dumps({"summary": summary.as_dict()}) + "\n"


def _summary_as_text(summary: Summary) -> str:
    """Returns the counts, one a line; those of what is not there only if there are some."""
    lines = [(summary.events, "published"), (summary.stored, "stored")]
    if summary.duplicates:
        lines.append((summary.duplicates, "of them more than once"))
    lines += [
        (summary.failed, "failed: AEP accepted them, and could not store them"),
        (summary.missing, "missing: accepted so long ago that they should be stored"),
        (summary.dead_letter, "dead letter: never accepted"),
        (summary.late, "late: accepted, and not stored yet"),
        (summary.waiting, "waiting in Pub/Sub"),
    ]
    return "".join(f"{count:>11,} {what}\n" for count, what in lines[:2]) + "".join(
        f"{count:>11,} {what}\n" for count, what in lines[2:] if count
    )

"""How long `reconcile` takes for a million events, and how much memory: in a process of its own.

`python -m benchmarks.reconcile EVENTS` prints both as JSON. Pub/Sub and AEP's APIs are synthetic
readers, which take no time of their own; SQLite is real, and so is what is stored if there is a
PostgreSQL: `PARAMETERS` then has how to connect, as AEP shows it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import orjson
import uvloop

from benchmarks.figures import Figure
from local.functions import PROJECT
from local.postgres import PostgresServer, find_postgres, run_postgres
from local.query_service import parameters_of
from pendo_aep.lake.failed_records import FailedRecord
from pendo_aep.lake.query_service import QueryService, Stored
from pendo_aep.lake.reconcile import reconcile
from pendo_aep.lake.topic import PublishedMessage
from pendo_aep.lake.verdicts import Summary, Verdicts
from pendo_aep.provisioning.client import Client, Operation, RetryPolicy

_TABLE = "pendo_events"
_START = datetime(2026, 1, 31, tzinfo=UTC)
_SPAN = timedelta(days=7)
_PAGE = 1_000
_DATA = orjson.dumps({"properties": {"text": "x" * 1_100}})
# Of each hundred events: the numbers of those that are not simply stored.
_DEAD, _FAILED, _WAITING, _MISSING, _TWICE = 1, 2, 3, 4, 5
_NOT_STORED = (_DEAD, _FAILED, _WAITING, _MISSING)
# The same ids as `_id` makes, one a row, and of some two.
_FILL = f"""
CREATE TABLE {_TABLE} AS
SELECT encode(sha256(n::text::bytea), 'hex') AS _id,
    timestamp '2026-01-31' + n * interval '7 days' / {{events}} AS timestamp
FROM generate_series(0, {{events}} - 1) AS n, generate_series(1, 2) AS copy
WHERE n % 100 NOT IN {_NOT_STORED} AND (copy = 1 OR n % 100 = {_TWICE});
CREATE INDEX ON {_TABLE} (timestamp);
"""  # noqa: S608 (our own names)


async def measure_reconcile(rounds: int, events: int) -> list[Figure]:  # noqa: ARG001 (once)
    """Measures seconds and memory with so many events, with and without a real PostgreSQL.

    Args:
        rounds: ignored: it takes minutes.
        events: a multiple of 100.
    """
    found = {"synthetic lake": await _run(events, None)}
    if (programs := find_postgres()) is None:
        sys.stderr.write("PostgreSQL is not installed: what is stored is synthetic\n")
    else:
        with run_postgres(programs) as server:
            await asyncio.to_thread(_fill, server, events)
            found["PostgreSQL"] = await _run(events, parameters_of(server))
    return [
        figure
        for name, (seconds, peak_mb) in found.items()
        for figure in (
            Figure(f"reconcile, {events:,} events, {name}: s", (seconds,)),
            Figure(f"reconcile, {events:,} events, {name}: peak MB", (peak_mb,)),
        )
    ]


def _fill(server: PostgresServer, events: int) -> None:
    with server.connect() as connection:
        connection.execute(_FILL.format(events=events).encode())


async def _run(events: int, parameters: object) -> tuple[float, float]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.reconcile", str(events)),
        cwd=PROJECT,
        env={**os.environ, "PARAMETERS": orjson.dumps(parameters).decode()},
        stdout=asyncio.subprocess.PIPE,
    )
    told, _stderr = await process.communicate()
    seconds, peak = orjson.loads(told)
    return seconds, peak


def _id(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


@dataclass(frozen=True, slots=True)
class _Readers:
    """Events of a week, evenly spread, of which some are not stored, and some twice."""

    events: int
    service: QueryService | None

    async def _pages(self, *wanted: int) -> AsyncGenerator[list[PublishedMessage], None]:
        for first in range(0, self.events, _PAGE):
            numbers = range(first, min(first + _PAGE, self.events))
            yield [self._message(n) for n in numbers if not wanted or n % 100 in wanted]
            await asyncio.sleep(0)  # the real readers wait here, so that others go on

    def _message(self, number: int) -> PublishedMessage:
        at, key = _START + number * _SPAN / self.events, _id(number)
        attributes = {"eventId": key, "eventType": "guide.displayed", "detail": "not valid"}
        data = _DATA[:-1] + b',"number":%d}' % number
        return PublishedMessage(
            key, "guide.displayed", at, at + timedelta(seconds=1), str(number), data, attributes
        )

    async def published(
        self, since: datetime, until: datetime
    ) -> AsyncGenerator[Sequence[PublishedMessage], None]:
        """All in the span, nothing after it."""
        del until
        if since == _START:
            async for page in self._pages():
                yield page

    async def waiting(self) -> AsyncGenerator[Sequence[PublishedMessage], None]:
        """What waits."""
        async for page in self._pages(_WAITING):
            yield page

    async def dead_letters(self) -> AsyncGenerator[Sequence[PublishedMessage], None]:
        """Dead letters."""
        async for page in self._pages(_DEAD):
            yield page

    async def failed(
        self, since: datetime, until: datetime
    ) -> AsyncGenerator[Sequence[FailedRecord], None]:
        """What AEP could not store."""
        del since, until
        async for page in self._pages(_FAILED):
            yield [
                FailedRecord(one.id, "mapping", "MAPPER-3700-400", "not a number: ...", "batch")
                for one in page
            ]

    async def stored(
        self, since: datetime, until: datetime
    ) -> AsyncGenerator[Sequence[Stored], None]:
        """What is stored."""
        if self.service is not None:
            async for rows in self.service.stored_ids(_TABLE, since, until):
                yield rows
            return
        rest = [n for n in range(100) if n not in _NOT_STORED]
        async for page in self._pages(*rest):
            yield [(one.id, 2 if int(one.message_id) % 100 == _TWICE else 1) for one in page]


@dataclass(frozen=True, slots=True)
class _Parameters:
    """AEP's API, as far as Query Service needs it."""

    answer: Any
    retry_policy: RetryPolicy

    async def read(self, _: Operation) -> Any:
        """Returns how to connect."""
        return self.answer


async def _reconcile(events: int, parameters: object) -> None:
    client = cast("Client", _Parameters(parameters, RetryPolicy()))
    async with QueryService(client, is_encrypted=False) as service:
        readers = _Readers(events, service if parameters else None)
        with Verdicts() as verdicts:
            summary = await reconcile(readers, verdicts, _START, _START + _SPAN, timedelta(hours=3))
            for one in verdicts.events(all_events=True):
                str(one)  # as it would be printed
    part = events // 100
    expected = Summary(events, 96 * part, part, part, 0, part, part, part)
    if summary != expected:
        raise RuntimeError(f"{summary} instead of {expected}")


def main() -> None:
    """Runs once, and prints the seconds and the megabytes."""
    began = time.perf_counter()
    uvloop.run(_reconcile(int(sys.argv[1]), orjson.loads(os.environ["PARAMETERS"])))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts kilobytes
    sys.stdout.write(orjson.dumps((time.perf_counter() - began, peak)).decode())


if __name__ == "__main__":
    main()

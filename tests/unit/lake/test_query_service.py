"""Query Service on a real PostgreSQL: every event once, whatever the pages, and clear errors."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import psycopg
import pytest

from local.functions import free_port
from local.postgres import PostgresServer, find_postgres, run_postgres
from local.query_service import parameters_of
from pendo_aep.lake.query_errors import (
    CannotConnect,
    NoTable,
    NotPermitted,
    QueryServiceError,
    QueryTooSlow,
)
from pendo_aep.lake.query_service import QueryLimits, QueryService, sslmode
from pendo_aep.provisioning.client import Client, Operation, RetryPolicy
from pendo_aep.provisioning.errors import PlatformError
from tests.certificates import self_signed_certificate

FAST: Final = RetryPolicy(initial_seconds=0.001, max_seconds=0.01)
START: Final = datetime(2026, 1, 31, 9, tzinfo=UTC)
HOURS: Final = timedelta(hours=72)
# Three days; half of the events in one second; some stored twice.
EVENTS: Final = {
    f"event-{n:03}": (START + (timedelta(minutes=40 * n) if n % 2 else HOURS / 2), 1 + n % 7 // 5)
    for n in range(100)
}
COUNTS: Final = {key: times for key, (_, times) in EVENTS.items()}


@dataclass(slots=True)
class Parameters:
    """Answers as `GET /query/connection_parameters` does.

    Attributes:
        answer: what AEP says, or raises.
        asked: how often it was asked.
    """

    answer: Any
    asked: int = 0
    retry_policy: RetryPolicy = field(default=FAST)

    async def read(self, _: Operation) -> Any:
        """Takes the call of a client."""
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@asynccontextmanager
async def query_service(
    answers: Parameters, limits: QueryLimits | None = None, *, is_encrypted: bool = False
) -> AsyncIterator[QueryService]:
    """Connects to what the parameters say, as the commands do."""
    client = cast("Client", answers)
    async with QueryService(client, is_encrypted=is_encrypted, limits=limits) as service:
        yield service


@pytest.fixture(scope="module")
def table(postgres: PostgresServer) -> Iterator[str]:
    """A table with the events, and some before and after the span."""
    outside = [("early", START - timedelta(seconds=1)), ("late", START + HOURS)]
    rows = [(key, at) for key, (at, times) in EVENTS.items() for _ in range(times)]
    with postgres.connect() as connection, connection.cursor() as cursor:
        connection.execute("CREATE TABLE ids (_id text, timestamp timestamp)")
        cursor.executemany(
            "INSERT INTO ids VALUES (%s, %s)",
            [(key, at.replace(tzinfo=None)) for key, at in [*rows, *outside]],
        )
        yield "ids"
        connection.execute("DROP TABLE ids")


async def read(
    answers: Parameters, table: str, limits: QueryLimits | None = None
) -> tuple[Counter[str], list[int]]:
    """Returns how many times each event is stored, and the rows of each page."""
    found: Counter[str] = Counter()
    pages: list[int] = []
    async with query_service(answers, limits) as service:
        async for page in service.stored_ids(table, START, START + HOURS):
            pages.append(len(page))
            for key, times in page:
                found[key] += times
    return found, pages


@pytest.mark.parametrize(
    ("rows", "seconds"),
    [
        (1, 7 * 86_400),
        (3, 3600),
        (49, 7 * 86_400),
        (50, 7 * 86_400),
        (51, 7 * 86_400),
        (40_000, 600),
    ],
)
async def test_each_event_is_counted_once(
    postgres: PostgresServer, table: str, rows: int, seconds: int
) -> None:
    """Whatever the size of a page, and the time that the first query asks for."""
    limits = QueryLimits(rows=rows, slice_seconds=seconds)

    found, pages = await read(Parameters(parameters_of(postgres)), table, limits)

    assert found == COUNTS
    assert max(pages) <= rows


async def test_few_queries_for_few_events(postgres: PostgresServer, table: str) -> None:
    """The time of a query grows until a page fills: 72 hours take three queries, not twelve."""
    limits = QueryLimits(rows=40_000, slice_seconds=6 * 3600)

    found, pages = await read(Parameters(parameters_of(postgres)), table, limits)

    assert (found, len(pages)) == (COUNTS, 3)


async def test_a_broken_connection_is_made_again(postgres: PostgresServer, table: str) -> None:
    """With new parameters, as the token may have expired; no page is lost or counted twice."""
    answers = Parameters(parameters_of(postgres))
    found: Counter[str] = Counter()
    async with query_service(answers, QueryLimits(rows=20)) as service:
        async for page in service.stored_ids(table, START, START + HOURS):
            found.update(dict(page))
            if answers.asked < 3:
                with postgres.connect() as connection:
                    connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s",
                        [postgres.user],
                    )

    assert (found, answers.asked) == (COUNTS, 3)


@pytest.fixture
def slow_table(postgres: PostgresServer) -> Iterator[str]:
    """A view that takes 20 ms for each of 32 events, one a minute."""
    with postgres.connect() as connection:
        connection.execute("CREATE TABLE quick (_id text, timestamp timestamp)")
        connection.execute(
            "INSERT INTO quick SELECT 'slow-' || n, timestamp '2026-01-31 09:00' "
            "+ n * interval '1 minute' FROM generate_series(0, 31) AS n"
        )
        # The time in the query is compared first: what follows OFFSET is not moved in front of it.
        connection.execute(
            "CREATE VIEW slow AS SELECT _id, timestamp FROM quick, LATERAL "
            "(SELECT pg_sleep(0.02) WHERE quick.timestamp IS NOT NULL OFFSET 0) AS paused"
        )
        yield "slow"
        connection.execute("DROP VIEW slow; DROP TABLE quick")


async def test_a_slow_query_asks_for_less(postgres: PostgresServer, slow_table: str) -> None:
    """It is given up in time, and its span is halved until a query is quick enough."""
    limits = QueryLimits(seconds=0.3, slice_seconds=3600)

    found, pages = await read(Parameters(parameters_of(postgres)), slow_table, limits)

    assert found == {f"slow-{n}": 1 for n in range(32)}
    assert max(pages) < 16


async def test_a_second_that_takes_too_long(postgres: PostgresServer, slow_table: str) -> None:
    """There is nothing left to halve."""
    with pytest.raises(QueryTooSlow, match="try again later"):
        await read(Parameters(parameters_of(postgres)), slow_table, QueryLimits(seconds=0.005))


async def test_quotes_in_an_id(postgres: PostgresServer) -> None:
    """No page begins after one: Spark and PostgreSQL would read the literal differently."""
    ids = ["a", "b'", "b''c", "d\\", "e", "f'"]
    with postgres.connect() as connection, connection.cursor() as cursor:
        connection.execute("CREATE TABLE quoted (_id text, timestamp timestamp)")
        rows = [(key, START.replace(tzinfo=None)) for key in ids]
        cursor.executemany("INSERT INTO quoted VALUES (%s, %s)", rows)
    answers = Parameters(parameters_of(postgres))

    found, _ = await read(answers, "quoted", QueryLimits(rows=4))
    assert found == dict.fromkeys(ids, 1)

    with pytest.raises(QueryServiceError, match="something else writes into this dataset"):
        await read(answers, "quoted", QueryLimits(rows=3))


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("", NoTable, "has no table in Query Service yet"),
        ("no_such_table", NoTable, "no table no_such_table yet"),
        ("ids; DROP TABLE ids", QueryServiceError, "cannot be the name of a table"),
        ("secret_ids", NotPermitted, "Manage Queries and View Datasets"),
    ],
)
async def test_a_table_that_cannot_be_read(
    postgres: PostgresServer, name: str, error: type[Exception], words: str
) -> None:
    """The text says why, and what to do."""
    with postgres.connect() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS secret_ids (_id text, timestamp timestamp)")
        connection.execute("DROP ROLE IF EXISTS nobody_yet")
        connection.execute("CREATE ROLE nobody_yet LOGIN PASSWORD 'nothing'")
    nobody = parameters_of(postgres) | {"username": "nobody_yet", "token": "nothing"}
    async with query_service(Parameters(nobody)) as service:
        with pytest.raises(error, match=words):
            await service.check(name)


async def test_an_answer_without_a_server() -> None:
    """Something else answers at AEP_PLATFORM_URL."""
    async with query_service(Parameters({"host": "127.0.0.1"})) as service:
        with pytest.raises(PlatformError, match="AEP_PLATFORM_URL"):
            await service.check("ids")


@pytest.mark.parametrize(
    ("changes", "is_encrypted", "words"),
    [
        ({"token": "expired-token"}, False, "password authentication failed"),
        ({"port": 0}, False, "out of reach"),
        ({}, True, "SSL"),  # the wheel's server has none: nothing may be sent without it
    ],
)
async def test_no_connection(
    postgres: PostgresServer, changes: dict[str, Any], is_encrypted: bool, words: str
) -> None:
    """It is tried a few times with new parameters; no token is in the text."""
    if changes.get("port") == 0:
        changes = {"port": free_port()}
    answers = Parameters(parameters_of(postgres) | changes)
    limits = QueryLimits(attempts=3)
    async with query_service(answers, limits, is_encrypted=is_encrypted) as service:
        with pytest.raises(CannotConnect, match=words) as raised:
            await service.check("ids")

    assert answers.asked == 3
    assert str(answers.answer["token"]) not in str(raised.value)


async def test_nothing_stays_connected(postgres: PostgresServer, table: str) -> None:
    """However it ends."""
    async with query_service(Parameters(parameters_of(postgres)), QueryLimits(rows=3)) as service:
        async for _ in service.stored_ids(table, START, START + HOURS):
            break

    with postgres.connect() as connection:
        assert _sessions_end(connection)


def _sessions_end(connection: psycopg.Connection[tuple[Any, ...]]) -> bool:
    """Returns whether no session is left within seconds: it ends just after its client."""
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pendo-aep'"
    return any(
        connection.execute(sessions).fetchone() == (0,)
        or not connection.execute("SELECT pg_sleep(0.01)")
        for _ in range(500)
    )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for `localhost`, and its key."""
    return self_signed_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def encrypted(certificate: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL with TLS, as Query Service has it; Debian's, and required in CI."""
    programs = find_postgres(with_tls=True)
    if programs is None:
        why = "no PostgreSQL with TLS is installed: the way to Query Service is tested with it"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    with run_postgres(programs, certificate) as server:
        yield server


@pytest.mark.parametrize(
    ("host", "root", "refused"),
    [
        pytest.param("localhost", None, None, id="any certificate, as without a root"),
        pytest.param("localhost", "its own", None, id="verified"),
        pytest.param("127.0.0.1", "its own", "certificate", id="of another name"),
        pytest.param("localhost", "another", "certificate", id="of somebody else"),
    ],
)
async def test_an_encrypted_connection(
    encrypted: PostgresServer,
    certificate: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    root: str | None,
    refused: str | None,
) -> None:
    """No token goes to a server that cannot prove its name, if there is a root to check it by."""
    monkeypatch.setenv("HOME", str(tmp_path))
    if root is not None:
        of_another = self_signed_certificate(tmp_path)
        monkeypatch.setenv("PGSSLROOTCERT", str(certificate if root == "its own" else of_another))
    answers = Parameters(parameters_of(encrypted) | {"host": host})
    with encrypted.connect() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS ids (_id text)")

    async with query_service(answers, QueryLimits(attempts=1), is_encrypted=True) as service:
        if refused is None:
            await service.check("ids")
        else:
            with pytest.raises(CannotConnect, match=refused):
                await service.check("ids")


def test_the_server_is_verified_where_there_is_a_root_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adobe's way: the file in the home directory, or the variable of PostgreSQL's driver."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sslmode({}) == "require"
    assert sslmode({"PGSSLROOTCERT": "/etc/ssl/certs/ca-certificates.crt"}) == "verify-full"

    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").write_text("a certificate")
    assert sslmode({}) == "verify-full"

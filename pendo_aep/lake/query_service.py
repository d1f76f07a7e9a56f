"""Reads which events are stored, from AEP's Query Service, in pages within its limits.

Adobe: "Query Service API guide" (connection parameters), "General guidance for query execution":
it speaks PostgreSQL's protocol; its SQL is Spark's; an interactive query ends after 10 minutes and
returns 50,000 rows at most. `LIMIT 0` lifts that bound instead of returning nothing, so it is never
used here. The SQL is what Spark and PostgreSQL both understand, with the values as literals in the
text (the simple protocol): whether Query Service prepares statements is not documented.

TLS. Adobe ("Query Service SSL options") advises `sslmode=require` at least, which encrypts but does
not verify the server, and `verify-full` with the root certificate in `~/.postgresql/root.crt`. So
the server is verified where that file is, or where `PGSSLROOTCERT` names another.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import psycopg

from pendo_aep.clock import epoch_rfc3339
from pendo_aep.lake.query_errors import (
    CannotConnect,
    NoTable,
    NotPermitted,
    QueryServiceError,
    QueryTooSlow,
    cannot_connect,
    explain_refusal,
)
from pendo_aep.provisioning.client import Client, Operation, unexpected_answer
from pendo_aep.provisioning.errors import Permission, RequestRejected

__all__ = [
    "CannotConnect",
    "NoTable",
    "NotPermitted",
    "QueryLimits",
    "QueryService",
    "QueryServiceError",
    "QueryTooSlow",
    "Stored",
    "sslmode",
]

Stored: TypeAlias = tuple[str, int]
"""The `_id` of an event, and how many times it is stored."""

_CONNECT: Final = Operation(
    "connect to Query Service",
    "GET",
    "/data/foundation/query/connection_parameters",
    Permission.MANAGE_QUERIES,
)
_TABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}", re.ASCII)
# Spark and PostgreSQL read quotes and backslashes within a literal differently.
_SAME_AS_LITERAL: Final = re.compile(r"[^'\\\x00-\x1f]+")
_LONGEST_SHOWN: Final = 300
_ROOT_CERTIFICATE: Final = Path("~/.postgresql/root.crt")
_LONGEST_SLICE: Final = 31 * 86_400


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """How far one query goes.

    Attributes:
        rows: of one page; Adobe's limit is 50,000, beyond which it cuts a result without a word.
        seconds: before a query is given up; Adobe's limit is 10 minutes.
        slow_seconds: after which the next query asks for a shorter time.
        slice_seconds: of `timestamp`, in the first query; later ones adapt.
        connect_seconds: for one attempt to connect.
        attempts: of one query whose connection breaks, the first included.
    """

    rows: int = 40_000
    seconds: float = 300.0
    slow_seconds: float = 60.0
    slice_seconds: int = 6 * 3600
    connect_seconds: int = 15
    attempts: int = 5


@dataclass(frozen=True, slots=True)
class _Slice:
    """A span of `timestamp`, in whole seconds since 1970, from the key that was read last."""

    start: int
    end: int
    after: str = ""

    @property
    def seconds(self) -> int:
        return self.end - self.start

    def halves(self) -> list[_Slice]:
        """Returns both halves, the later first, as a stack takes them; a second stays whole."""
        if self.seconds <= 1:
            return [self]
        middle = (self.start + self.end) // 2
        return [replace(self, start=middle), replace(self, end=middle)]


class QueryService:
    """`async with QueryService(...) as service`: one connection, made when it is needed.

    A connection that breaks is made again with new parameters, since the token may have expired,
    and the query is sent again. A page is returned whole or not at all, so none is counted twice.
    """

    def __init__(
        self, client: Client, *, is_encrypted: bool, limits: QueryLimits | None = None
    ) -> None:
        """Takes what calls AEP's APIs, and the bounds of a query.

        Args:
            client: asks for the connection parameters.
            is_encrypted: whether the connection must use TLS, as Adobe's does. That of a stand-in
                follows the scheme of AEP_PLATFORM_URL.
            limits: Adobe's by default.
        """
        self._client = client
        self._is_encrypted = is_encrypted
        self._limits = limits or QueryLimits()
        self._connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._disconnect()

    async def check(self, table: str) -> None:
        """Connects, and looks whether the table can be read.

        Raises:
            QueryServiceError: one of its kinds, with what to do.
            PlatformError: AEP's API does not answer.
        """
        rows = await self._rows(table, f"SELECT _id FROM {_checked(table)} LIMIT 1", {})  # noqa: S608 (checked)
        if rows is None:
            raise self._too_slow("one row")

    async def stored_ids(
        self, table: str, since: datetime, until: datetime
    ) -> AsyncGenerator[Sequence[Stored], None]:
        """Yields pages of the events whose `timestamp` lies in the span, in whole seconds.

        An `_id` that is stored with several times may come in several pages: add them up.

        Args:
            table: the dataset's.
            since: the first `timestamp`.
            until: the `timestamp` before which it ends.

        Raises:
            QueryServiceError: one of its kinds, with what to do.
            PlatformError: AEP's API does not answer.
        """
        loop, limits = asyncio.get_running_loop(), self._limits
        start, end = math.floor(since.timestamp()), math.ceil(until.timestamp())
        width = limits.slice_seconds
        pending: list[_Slice] = []
        while pending or start < end:
            if not pending:
                pending.append(_Slice(start, min(start + width, end)))
                start = pending[-1].end
            part = pending.pop()
            began = loop.time()
            page = await self._page(table, part)
            half = max(part.seconds // 2, 1)
            if page is None:
                if part.seconds <= 1:
                    moment = epoch_rfc3339(part.start)
                    raise self._too_slow(f"the events of one second, {moment}")
                pending += part.halves()
                width = half
                continue
            if len(page) >= limits.rows:
                page = _resumable(page)
                pending += replace(part, after=page[-1][0]).halves()
                width = half
            elif loop.time() - began > limits.slow_seconds:
                width = half
            else:
                width = min(width * _growth(len(page) / limits.rows), _LONGEST_SLICE)
            if page:
                yield page

    async def _page(self, table: str, part: _Slice) -> list[Stored] | None:
        """Returns the next ids of a slice, at most a page; None if the query takes too long."""
        statement = (
            f"SELECT _id, count(*) AS times FROM {_checked(table)} "  # noqa: S608 (checked)
            "WHERE timestamp >= %(start)s AND timestamp < %(end)s AND _id > %(after)s "
            f"GROUP BY _id ORDER BY _id LIMIT {self._limits.rows}"
        )
        values = {
            "start": epoch_rfc3339(part.start),
            "end": epoch_rfc3339(part.end),
            "after": part.after,
        }
        rows = await self._rows(table, statement, values)
        return None if rows is None else [(str(key), int(times)) for key, times in rows]

    async def _rows(
        self, table: str, statement: str, values: Mapping[str, str]
    ) -> list[tuple[Any, ...]] | None:
        """Returns what a query returns; None if it takes too long."""
        failures = 0
        while True:
            try:
                connection = await self._connect()
                async with asyncio.timeout(self._limits.seconds):
                    cursor = await connection.execute(statement.encode(), values)
                    return await cursor.fetchall()
            except (TimeoutError, psycopg.errors.QueryCanceled):
                await self._disconnect()
                return None
            except psycopg.OperationalError as error:
                await self._disconnect()
                failures += 1
                if failures >= self._limits.attempts:
                    raise cannot_connect(error) from None
                await asyncio.sleep(self._client.retry_policy.pause(failures))
            except psycopg.Error as error:
                raise explain_refusal(error, table) from None

    def _too_slow(self, what: str) -> QueryTooSlow:
        seconds = self._limits.seconds
        return QueryTooSlow(
            f"Query Service takes longer than {seconds:.0f} s for {what}: try again later"
        )

    async def _connect(self) -> psycopg.AsyncConnection[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(
                **await self._parameters(),
                sslmode=sslmode(os.environ) if self._is_encrypted else "disable",
                connect_timeout=self._limits.connect_seconds,
                application_name="pendo-aep",
                autocommit=True,  # without it, the driver would begin a transaction
                prepare_threshold=None,
                cursor_factory=psycopg.AsyncClientCursor,
            )
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _parameters(self) -> dict[str, Any]:
        """Returns what AEP says about its server. The token is good for 24 hours (Adobe)."""
        try:
            answer = await self._client.read(_CONNECT)
        except RequestRejected as rejected:
            if rejected.is_permission:
                raise NotPermitted(str(rejected)) from None
            raise
        try:
            return {
                "host": str(answer["host"]),
                "port": int(answer["port"]),
                "dbname": str(answer["dbName"]),
                "user": str(answer["username"]),
                "password": str(answer["token"]),
            }
        except (KeyError, TypeError, ValueError):
            raise unexpected_answer(_CONNECT.action, "the answer names no server") from None


def sslmode(environ: Mapping[str, str]) -> str:
    """Returns how to use TLS: with a verified server if there is a root certificate for that."""
    has_root = environ.get("PGSSLROOTCERT") or _ROOT_CERTIFICATE.expanduser().is_file()
    return "verify-full" if has_root else "require"


def _growth(filled: float) -> int:
    """Returns how many times as long the next slice is, after one that filled part of a page."""
    if filled < 1 / 16:
        return 8
    return 2 if filled < 1 / 4 else 1


def _checked(table: str) -> str:
    if not table:
        raise NoTable(
            "the dataset has no table in Query Service yet: AEP makes it when the dataset gets its "
            "first events; send one (pendo-aep aep apply --test-event), and try again in an hour"
        )
    if not _TABLE.fullmatch(table):
        raise QueryServiceError(
            f"{table[:_LONGEST_SHOWN]!r} cannot be the name of a table: look at the dataset's tag "
            "adobe/pqs/table"
        )
    return table


def _resumable(page: list[Stored]) -> list[Stored]:
    """Returns a full page up to an id after which the next page can begin."""
    kept = len(page)
    while kept and not _SAME_AS_LITERAL.fullmatch(page[kept - 1][0]):
        kept -= 1
    if not kept:
        raise QueryServiceError(
            f"{len(page):,} events of the dataset have an _id with a quote or a backslash, so they "
            "cannot be read in pages: something else writes into this dataset"
        )
    return page[:kept]

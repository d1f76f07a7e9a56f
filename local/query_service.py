"""A data lake that can be queried: what the AEP stand-in stores, in tables of a real PostgreSQL.

Adobe: "Working with nested data structures in Query Service" has structs and arrays; here they are
composite types and arrays. A map, such as `identityMap`, is `jsonb`. Names are in lower case, as
PostgreSQL reads names without quotes.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

import orjson
import psycopg

from local.postgres import PostgresServer, find_postgres, run_postgres

Json: TypeAlias = dict[str, Any]
Columns: TypeAlias = Mapping[str, "Column"]

_ROWS_AT_ONCE: Final = 1_000
_LONGEST_NAME: Final = 63  # PostgreSQL cuts off the rest
_HASH_LENGTH: Final = 8
_SCALARS: Final = {"boolean": "boolean", "integer": "bigint", "number": "double precision"}
_ESCAPED_NUL: Final = rb"\u0000"
_FORMATS: Final = {"date-time": "timestamp", "date": "date"}


class LakeUnavailable(Exception):
    """There is no PostgreSQL here, or it does not start; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, or an attribute of a composite type.

    Attributes:
        type: of the column, or of its elements if it is an array; in quotes if it is composite.
        is_array: whether it is an array.
        fields: those of a composite type.
    """

    type: str
    is_array: bool = False
    fields: Columns = field(default_factory=dict)

    @property
    def definition(self) -> str:
        """The type as a definition has it."""
        return f"{self.type}[]" if self.is_array else self.type

    def value(self, value: Any) -> Any:
        """Returns a value as `jsonb_populate_recordset` takes it for this column."""
        if self.is_array and isinstance(value, list):
            return [self._element(element) for element in value]
        return self._element(value)

    def _element(self, value: Any) -> Any:
        if self.fields and isinstance(value, dict):
            return record(value, self.fields)
        if self.type == "timestamp" and isinstance(value, str):
            return _in_utc(value)
        return value


def columns_of(schema: Json, name: str) -> dict[str, Column]:
    """Returns the columns of a resolved schema, or of an object in it.

    Args:
        schema: with all its references followed.
        name: of the table or type, which begins the names of the types within.
    """
    fields = schema.get("properties", {})
    return {key.lower(): _column(inner, f"{name}.{key.lower()}") for key, inner in fields.items()}


def _column(schema: Json, name: str) -> Column:
    kind = schema.get("type")
    if kind == "array":
        element = _column(schema.get("items", {}), name)
        # PostgreSQL has no arrays of arrays of different lengths.
        return Column("jsonb") if element.is_array else Column(element.type, True, element.fields)
    if kind in _SCALARS:
        return Column(_SCALARS[kind])
    if kind == "string":
        return Column(_FORMATS.get(str(schema.get("format")), "text"))
    if schema.get("properties"):
        return Column(_quoted(_short(name)), fields=columns_of(schema, name))
    return Column("jsonb")


def growth(
    kind: Literal["TABLE", "TYPE"], name: str, known: Columns | None, wanted: Columns
) -> Iterator[str]:
    """Yields the statements that make a table or type, or add to it what it lacks.

    Args:
        kind: what it is.
        name: of it, in quotes.
        known: the columns that it has; None if it does not exist.
        wanted: the columns that it gets. A schema only grows: what is there stays as it is.
    """
    for key, column in wanted.items():
        if column.fields:
            before = known.get(key) if known else None
            yield from growth("TYPE", column.type, before.fields if before else None, column.fields)
    if known is None:
        yield f"CREATE {kind} {name} {'AS ' * (kind == 'TYPE')}()"
    word = "ATTRIBUTE" if kind == "TYPE" else "COLUMN"
    added = [
        f"ADD {word} {_quoted(key)} {column.definition}"
        for key, column in wanted.items()
        if key not in (known or {})
    ]
    if added:
        yield f"ALTER {kind} {name} {', '.join(added)}"


def _types(columns: Columns) -> Iterator[str]:
    """Yields the composite types of columns, each before those that it is made of."""
    for column in columns.values():
        if column.fields:
            yield column.type
            yield from _types(column.fields)


def record(row: Json, columns: Columns) -> Json:
    """Returns a row as `jsonb_populate_recordset` takes it, without what has no column."""
    return {
        key.lower(): columns[key.lower()].value(value)
        for key, value in row.items()
        if key.lower() in columns
    }


class PostgresLake:
    """Implements the stand-in's `Lake` on a running PostgreSQL."""

    def __init__(self, server: PostgresServer) -> None:
        """Takes the server, which has none of the tables that are to be written."""
        self._server = server
        self._connection = server.connect()
        self._tables: dict[str, dict[str, Column]] = {}

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def drop_tables(self) -> None:
        """Drops its tables, so that another lake can have the server."""
        with self._connection.transaction():
            for table, columns in self._tables.items():
                self._connection.execute(f"DROP TABLE {_quoted(table.lower())} CASCADE")
                for name in _types(columns):
                    self._connection.execute(f"DROP TYPE {name}")
        self._tables.clear()

    def write(self, table: str, schema: Json, rows: Sequence[Json]) -> None:
        """Adds rows to a table, which gets the columns that its schema has by now.

        Args:
            table: its name.
            schema: of the dataset, resolved.
            rows: XDM entities that are valid by it.
        """
        name = _quoted(table.lower())
        wanted = columns_of(schema, table.lower())
        known = self._tables.get(table)
        with self._connection.transaction():
            if wanted != known:
                for statement in growth("TABLE", name, known, wanted):
                    self._connection.execute(statement)
            insert = f"INSERT INTO {name} SELECT * FROM jsonb_populate_recordset(NULL::{name}, %s)"  # noqa: S608 (quoted)
            for first in range(0, len(rows), _ROWS_AT_ONCE):
                part = [record(row, wanted) for row in rows[first : first + _ROWS_AT_ONCE]]
                data = orjson.dumps(part)
                if _ESCAPED_NUL in data:  # rare, and to look at every value takes long
                    data = orjson.dumps(_without_nul(part))
                self._connection.execute(insert, [data.decode()])
        self._tables[table] = wanted

    def connection_parameters(self) -> Json:
        """Returns what a driver connects with."""
        return parameters_of(self._server)


def parameters_of(server: PostgresServer) -> Json:
    """Returns what a driver connects with, in the shape of Query Service's answer.

    Adobe: "Connection parameters endpoint". The token is the password.
    """
    return {
        "dbName": server.dbname,
        "host": server.host,
        "port": server.port,
        "username": server.user,
        "token": server.password,
        "version": 1,
        "websocketHost": server.host,
    }


@contextmanager
def run_lake() -> Iterator[PostgresLake]:
    """Runs a PostgreSQL with an empty lake, and deletes it at the end.

    Raises:
        LakeUnavailable: there is no PostgreSQL here, or it does not start.
    """
    programs = find_postgres()
    if programs is None:
        raise LakeUnavailable("PostgreSQL is not installed")
    with ExitStack() as stack:
        try:
            server = stack.enter_context(run_postgres(programs))
            lake = PostgresLake(server)
        except (subprocess.CalledProcessError, psycopg.OperationalError) as error:
            raise LakeUnavailable(f"PostgreSQL does not start: {error}") from None
        stack.callback(lake.close)
        yield lake


def _in_utc(text: str) -> str:
    """Returns a date-time in UTC and without an offset, which a `timestamp` ignores."""
    return datetime.fromisoformat(text.upper()).astimezone(UTC).replace(tzinfo=None).isoformat()


def _without_nul(value: Any) -> Any:
    """Returns a value with U+FFFD for each U+0000, which PostgreSQL stores in no text."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(inner) for key, inner in value.items()}
    return [_without_nul(inner) for inner in value] if isinstance(value, list) else value


def _short(name: str) -> str:
    """Returns a name that no other is cut to: with a hash, if it is too long."""
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{name.encode()[: _LONGEST_NAME - _HASH_LENGTH].decode(errors='ignore')}{digest}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

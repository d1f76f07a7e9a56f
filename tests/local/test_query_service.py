"""The data lake: how a schema becomes a table, how it grows, and what a driver reads over TCP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import psycopg
import pytest

from local.functions import PROJECT
from local.postgres import PostgresServer
from local.query_service import PostgresLake
from local.samples import load_samples
from tests.lake_harness import pendo_schema

Json = dict[str, Any]

_PAGE: Final = PROJECT / "docs" / "after-the-207.md"
_BLOCK: Final = re.compile(r"^```sql\n(.*?)^```", re.MULTILINE | re.DOTALL)
_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}


@pytest.fixture
def lake(postgres: PostgresServer) -> Iterator[PostgresLake]:
    """A lake on the shared server."""
    opened = PostgresLake(postgres)
    yield opened
    opened.drop_tables()
    opened.close()


def schema(**properties: Json) -> Json:
    """Returns the resolved schema of an event with these further fields."""
    return {"type": "object", "properties": {"_id": _TEXT, "timestamp": _TIME, **properties}}


def event(number: int, **fields: Any) -> Json:
    """Returns an event, one in each second."""
    minutes, seconds = divmod(number, 60)
    return {
        "_id": f"event-{number}",
        "timestamp": f"2026-11-28T{minutes // 60:02}:{minutes % 60:02}:{seconds:02}Z",
        **fields,
    }


def read(lake: PostgresLake, sql: str) -> list[tuple[Any, ...]]:
    """Reads as a client of Query Service does, with what its endpoint answers."""
    found = lake.connection_parameters()
    connection = psycopg.connect(
        host=found["host"],
        port=found["port"],
        user=found["username"],
        password=found["token"],
        dbname=found["dbName"],
        sslmode="disable",
        cursor_factory=psycopg.ClientCursor,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def test_fields_keep_their_structure(lake: PostgresLake) -> None:
    """Objects, arrays of objects, arrays of texts, maps; what a row does not have is null."""
    answer = {"type": "object", "properties": {"pollId": _TEXT, "number": {"type": "number"}}}
    pendo = {
        "guide": {"type": "object", "properties": {"stepId": _TEXT}},
        "answers": {"type": "array", "items": answer},
        "tags": {"type": "array", "items": _TEXT},
        "isNew": {"type": "boolean"},
        "rating": {"type": "integer"},
    }
    tenant = {"type": "object", "properties": {"pendo": {"type": "object", "properties": pendo}}}
    identities = {"type": "object", "additionalProperties": {"type": "array", "items": answer}}
    given = {
        "guide": {"stepId": "s"},
        "answers": [{"pollId": "p"}, {"number": 1.5}],
        "tags": ["a", "b"],
        "isNew": True,
        "rating": 9,
    }
    map_of_it = {"PendoVisitor": [{"id": "v"}]}
    rows = [event(1, _acme={"pendo": given}, identityMap=map_of_it), event(2)]
    lake.write("fields", schema(_acme=tenant, identityMap=identities), rows)

    found = read(
        lake,
        "SELECT (((_acme).pendo).guide).stepId, (((_acme).pendo).answers[2]).number,"
        " ((_acme).pendo).tags, ((_acme).pendo).isNew, ((_acme).pendo).rating,"
        " identityMap FROM fields ORDER BY timestamp",
    )

    assert found == [("s", 1.5, ["a", "b"], True, 9, map_of_it), (None,) * 6]


def test_a_time_is_stored_in_utc(lake: PostgresLake) -> None:
    """An offset counts; a text that no PostgreSQL can hold loses only the character."""
    row = event(1, name="a\0b") | {"timestamp": "2026-11-28T01:30:00.5+02:00"}
    lake.write("times", schema(name=_TEXT), [row])

    (found,) = read(lake, "SELECT timestamp::text, name FROM times")

    assert found == ("2026-11-27 23:30:00.5", "a\ufffdb")


def test_a_table_grows_with_its_schema(lake: PostgresLake) -> None:
    """At every depth; what was stored before stays."""
    before = {"type": "object", "properties": {"x": _TEXT}}
    after = {"type": "object", "properties": {"x": _TEXT, "y": _TEXT}}
    first = schema(a=before, list={"type": "array", "items": before})
    second = schema(a=after, list={"type": "array", "items": after}, b=_TEXT)
    old, new = {"x": "1"}, {"x": "2", "y": "3"}
    lake.write("growing", first, [event(1, a=old, list=[old])])
    lake.write("growing", second, [event(2, a=new, list=[new, old], b="4")])

    found = read(lake, "SELECT (a).x, (a).y, list[1].y, list[2].x, b FROM growing ORDER BY _id")

    assert found == [("1", None, None, None, None), ("2", "3", "3", "1", "4")]


async def test_each_sample_is_once_in_the_view_of_the_docs(
    postgres: PostgresServer, lake: PostgresLake
) -> None:
    """With all of its fields, in the table of the schema that `aep apply` makes."""
    samples = [sample.xdm for sample in load_samples() if sample.xdm is not None]
    lake.write("stored_twice", await pendo_schema(), [*samples, *samples[::2], *samples[::4]])
    (sql,) = _BLOCK.findall(_PAGE.read_text("utf-8"))
    view = sql.replace("pendo_events_once", "each_once").replace("pendo_events", "stored_twice")
    with postgres.connect() as owner:
        owner.execute(view.encode())
        names = [
            [column.name for column in owner.execute(f"SELECT * FROM {one}").description or ()]  # noqa: S608
            for one in ("stored_twice", "each_once")
        ]

    found = read(lake, "SELECT _id, eventType, ((_acme).pendo).event, place FROM each_once")

    expected = [(x["_id"], x["eventType"], x["_acme"]["pendo"]["event"], 1) for x in samples]
    assert sorted(found) == sorted(expected)
    assert names[1] == [*names[0], "place"]


def test_no_rows_make_an_empty_table(lake: PostgresLake) -> None:
    """And a failed write leaves nothing of it."""
    lake.write("empty", schema(), [])
    with pytest.raises(psycopg.DataError):
        lake.write("empty", schema(n={"type": "integer"}), [event(1), event(2, n="no number")])
    assert read(lake, "SELECT * FROM empty") == []

    lake.write("empty", schema(n={"type": "integer"}), [event(1, n=1)])

    assert read(lake, "SELECT n FROM empty") == [(1,)]

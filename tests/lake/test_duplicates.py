"""The view with each event once, as `docs/after-the-207.md` has it, in a real PostgreSQL."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Final

import psycopg
import pytest

from local.functions import PROJECT
from local.postgres import PostgresServer
from local.query_service import PostgresLake
from local.samples import load_samples
from tests.lake_harness import pendo_schema

_PAGE: Final = PROJECT / "docs" / "after-the-207.md"
_BLOCK: Final = re.compile(r"^```sql\n(.*?)^```", re.MULTILINE | re.DOTALL)
_TABLE: Final = "stored_twice"
SAMPLES: Final = [sample.xdm for sample in load_samples() if sample.xdm is not None]


@pytest.fixture
def connection(
    postgres: PostgresServer, lake: PostgresLake
) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection to a database whose table has the samples, and some of them again."""
    rows = [*SAMPLES, *SAMPLES[::2], *SAMPLES[::4]]
    lake.write(_TABLE, asyncio.run(pendo_schema()), rows)
    with postgres.connect() as running:
        yield running


def test_each_event_is_in_the_view_once(
    connection: psycopg.Connection[tuple[object, ...]],
) -> None:
    """With all of its fields."""
    (sql,) = _BLOCK.findall(_PAGE.read_text("utf-8"))
    view = sql.replace("pendo_events_once", "each_once").replace("pendo_events", _TABLE)
    connection.execute(view.encode())

    rows = connection.execute("SELECT _id, eventtype, place FROM each_once ORDER BY _id").fetchall()
    columns = connection.execute("SELECT * FROM each_once").description or ()

    assert rows == sorted((row["_id"], row["eventType"], 1) for row in SAMPLES)
    of_table = connection.execute(f"SELECT * FROM {_TABLE}").description or ()  # noqa: S608
    assert [one.name for one in columns] == [*(one.name for one in of_table), "place"]

"""Runs each block of SQL of `docs/recipes.md` in PostgreSQL, and compares every row it returns.

The rows are the samples and those of `rows.json`, which holds in short form what a recipe could get
wrong; `results.json` has what each recipe must find among them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson
import psycopg
import pytest

from local.functions import PROJECT
from local.postgres import PostgresServer
from local.query_service import PostgresLake
from local.samples import load_samples
from tests.lake_harness import pendo_schema

Json: TypeAlias = dict[str, Any]
Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

PAGE: Final = PROJECT / "docs" / "recipes.md"
_HERE: Final = Path(__file__).parent
RESULTS: Final[dict[str, list[Json]]] = orjson.loads((_HERE / "results.json").read_bytes())
NOW: Final = "TIMESTAMP '2026-11-02 12:00:00'"
ONCE: Final = "each-event-once"
_BLOCK: Final = re.compile(r"^```sql\n(.*?)^```", re.MULTILINE | re.DOTALL)
_RECIPE: Final = re.compile(r"-- recipe: (.+)\n")
# A column with an object, or an alias for an element of an array, with the path behind it.
_PATH: Final = re.compile(r"\b(_acme|answer)((?:\.\w+)+)")


def for_postgres(sql: str) -> str:
    """Returns a recipe as PostgreSQL takes it: the only difference to what the page has.

    Adobe shows dotted paths and `explode` ("Working with nested data structures in Query Service"),
    and says that its SQL is Spark's. PostgreSQL wants parentheses around a composite value, and
    calls that function `unnest`. The time is fixed, as the rows are. That Query Service accepts all
    the rest as it stands is assumed.
    """

    def nested(path: re.Match[str]) -> str:
        value = path[1]
        for field in path[2].removeprefix(".").split("."):
            value = f"({value}).{field}"
        return value

    return _PATH.sub(nested, sql).replace("explode(", "unnest(").replace("current_timestamp", NOW)


@cache
def recipes() -> dict[str, str]:
    """Returns the SQL of the page by the name in its first line."""
    found: dict[str, str] = {}
    for block in _BLOCK.findall(PAGE.read_text("utf-8")):
        name = _RECIPE.match(block)
        assert name is not None, f"a block of SQL without a name: {block[:80]}"
        assert name[1] not in found, name[1]
        found[name[1]] = block
    return found


def entity(row: Json) -> Json:
    """Returns the XDM entity of a row in short form, in the shape that `deliver` sends."""
    fields = ("guide", "nps", "answers", "track")
    pendo: Json = {"event": row["event"], **{key: row[key] for key in fields if key in row}}
    made: Json = {
        "_id": row["id"],
        "timestamp": row["at"],
        "eventType": f"pendo.{row['event']}",
        "_acme": {"pendo": pendo},
    }
    if "account" in row:
        pendo["accountId"] = row["account"]
    if visitor := row.get("visitor"):
        pendo["visitorId"] = visitor
        namespace = "PendoAnonymous" if visitor.startswith("_PENDO_T_") else "PendoVisitor"
        made["identityMap"] = {namespace: [{"id": visitor, "primary": True}]}
    return made


SAMPLES: Final = [sample.xdm for sample in load_samples() if sample.xdm is not None]
ROWS: Final = [entity(row) for row in orjson.loads((_HERE / "rows.json").read_bytes())]


@pytest.fixture(scope="module")
def table(postgres: PostgresServer) -> Iterator[Connection]:
    """A connection to a database whose table `pendo_events` has the samples and the rows."""
    lake = PostgresLake(postgres)
    schema = asyncio.run(pendo_schema("properties.eventProperties.toTier:string"))
    lake.write("pendo_events", schema, [*SAMPLES, *ROWS])
    with postgres.connect() as connection:
        yield connection
    lake.drop_tables()
    lake.close()


def query(connection: Connection, recipe: str) -> list[Json]:
    """Returns the rows that a recipe finds, as JSON has them."""
    sql = for_postgres(recipes()[recipe])
    cursor = connection.execute(sql)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, map(_as_json, row), strict=True)) for row in cursor.fetchall()]


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


def test_every_recipe_has_a_result() -> None:
    """And every result belongs to a recipe."""
    assert set(recipes()) == {*RESULTS, ONCE}


@pytest.mark.parametrize("recipe", RESULTS)
def test_a_recipe_finds_exactly_this(table: Connection, recipe: str) -> None:
    """In this order, among the samples and the rows made for it."""
    assert query(table, recipe) == RESULTS[recipe]


def test_each_event_is_found_once(table: Connection) -> None:
    """All samples, too, whatever is in them."""
    found = query(table, ONCE)

    assert [row["_id"] for row in found] == sorted({row["_id"] for row in [*SAMPLES, *ROWS]})


def test_paths_and_functions_are_rewritten() -> None:
    """Nothing else is."""
    sql = "SELECT explode(_acme.pendo.answers) AS answer, answer.text, t.x, current_timestamp"

    assert for_postgres(sql) == (
        "SELECT unnest(((_acme).pendo).answers) AS answer, (answer).text, t.x, " + NOW
    )

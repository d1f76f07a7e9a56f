"""The PostgreSQL server: what it makes of XDM entities, and that nothing of it is left."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from local.postgres import PostgresServer, create_table, find_postgres, run_postgres


@pytest.mark.usefixtures("postgres")
def test_nothing_is_left_of_it() -> None:
    """It ends with all its data."""
    programs = find_postgres()
    assert programs is not None
    with run_postgres(programs) as server:
        folder = Path(server.dsn.split()[0].removeprefix("host="))
        with server.connect() as connection:
            assert connection.execute("SELECT 1").fetchall() == [(1,)]
        assert folder.is_dir()

    assert not folder.exists()


def _connect(postgres: PostgresServer, password: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host=postgres.host,
        port=postgres.port,
        user=postgres.user,
        password=password,
        dbname=postgres.dbname,
        autocommit=True,
    )


def test_over_tcp_a_reader_reads_with_its_password(postgres: PostgresServer) -> None:
    """Nobody else does, and it cannot write."""
    with postgres.connect() as owner:
        owner.execute("CREATE TABLE readable AS SELECT 1 AS number")
    with _connect(postgres, postgres.password) as reader:
        assert reader.execute("SELECT number FROM readable").fetchall() == [(1,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("DELETE FROM readable")
    with pytest.raises(psycopg.OperationalError, match="password"):
        _connect(postgres, "wrong")


def test_a_table_has_the_shape_of_its_rows(postgres: PostgresServer) -> None:
    """Objects within objects, arrays of objects and of texts; what a row does not have is null."""
    rows = [
        {"_id": "1", "at": "2026-01-02T03:04:05.678Z", "a": {"bC": {"n": 1.5}, "list": [{"x": 1}]}},
        {"_id": "2", "a": {"texts": ["p", "q"], "ok": True}, "identityMap": {"N": []}},
    ]
    with postgres.connect() as connection:
        create_table(connection, "shapes", rows)
        found = connection.execute(
            "SELECT _id, to_char(at, 'HH24:MI:SS.MS'), ((a).bC).n, (a).list[1].x, (a).texts, (a).ok"
            " FROM shapes ORDER BY _id"
        ).fetchall()

    assert found == [
        ("1", "03:04:05.678", 1.5, 1.0, None, None),
        ("2", None, None, None, ["p", "q"], True),
    ]

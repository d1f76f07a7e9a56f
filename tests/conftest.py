"""Fixtures and options that the tests share: Pub/Sub, the AEP stand-in, functions and a client."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count

import aiohttp
import pytest
from rich.console import Console
from rich.table import Table

from local.aep import AepServer
from local.emulator import Emulator
from local.functions import Function
from local.pipeline import SECRET, receive_env
from local.postgres import PostgresServer, find_postgres, run_postgres
from local.pubsub import PubSubServer, PushFlow
from tests.delivery_harness import create_topics

RETIRED_SECRET = "retired-secret"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options of the slow tests."""
    parser.addoption(
        "--emulator",
        choices=["required", "off"],
        default="off",
        help="Google's Pub/Sub emulator: required, or its tests are skipped",
    )
    parser.addoption(
        "--outage-seconds",
        type=float,
        default=8.0,
        help="how long AEP is down in the test of an outage",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Runs the fast tests first, then those that start processes, then the slow ones.

    Of the slow ones, the soak and the outages begin, which take longest, so that no worker is left
    alone with them; on Google's emulator, the deployment begins before all others.
    """
    if config.getoption("--emulator") == "required":
        items.sort(key=_speed, reverse=True)
        return
    modules = dict.fromkeys(item.nodeid.partition("::")[0] for item in items)
    order = {module: -number for number, module in enumerate(modules)}
    items.sort(
        key=lambda item: (*_speed(item), order[item.nodeid.partition("::")[0]] * _speed(item)[0])
    )


def _speed(item: pytest.Item) -> tuple[bool, bool]:
    return bool(item.get_closest_marker("slow")), bool(item.get_closest_marker("process"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the rows that tests recorded as properties, in one table for each name."""
    tables: dict[str, list[dict[str, object]]] = {}
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        server = "Google's emulator" if "[emulator" in report.nodeid else "in-process"
        for name, row in report.user_properties:
            tables.setdefault(f"{name}, Pub/Sub: {server}", []).append(row)
    for name, rows in tables.items():
        table = Table(title=name, title_justify="left", box=None, padding=(0, 2, 0, 0))
        for column, value in rows[0].items():
            table.add_column(column, justify="left" if isinstance(value, str) else "right")
        for row in rows:
            table.add_row(*map(str, row.values()))
        console = Console(width=140)
        with console.capture() as printed:
            console.print(table)
        terminalreporter.section(name)
        terminalreporter.write(printed.get())


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Runs async tests and fixtures on asyncio, as the functions do."""
    return "asyncio"


@dataclass(frozen=True, slots=True)
class PubSub:
    """A running Pub/Sub server; `server` is the in-process one, or None for Google's emulator."""

    host: str
    server: PubSubServer | None


@pytest.fixture(
    scope="session",
    params=["in-process", pytest.param("emulator", marks=pytest.mark.emulator)],
)
async def pubsub(request: pytest.FixtureRequest) -> AsyncIterator[PubSub]:
    """A Pub/Sub server: each test that uses it runs on ours and on Google's emulator."""
    if request.param == "in-process":
        # Google pauses a push for up to a minute; no test here needs more than seconds.
        async with PubSubServer(push_flow=PushFlow(maximum_backoff=2.0)) as server:
            yield PubSub(server.host, server)
        return
    _skip_without_google(request)
    async with Emulator() as emulator:
        yield PubSub(emulator.host, None)


@pytest.fixture(scope="module")
async def emulator(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The address of a Google emulator that only this module uses."""
    _skip_without_google(request)
    async with Emulator() as running:
        yield running.host


@pytest.fixture(scope="session")
def gcloud(request: pytest.FixtureRequest) -> str:
    """The path of the real gcloud; skipped when the emulator is."""
    _skip_without_google(request)
    program = shutil.which("gcloud")
    assert program is not None, "gcloud is not on the PATH; see https://cloud.google.com/sdk"
    return program


def _skip_without_google(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--emulator") == "off":
        pytest.skip("gcloud and Google's emulator: `make test-emulator` runs them")


@pytest.fixture(scope="session")
def project_ids() -> Iterator[str]:
    """Project IDs that nothing else on the servers uses."""
    return (f"test-{number}" for number in count())


@pytest.fixture
def project(project_ids: Iterator[str]) -> str:
    """The ID of a project that only this test uses."""
    return next(project_ids)


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[PubSubServer]:
    """The in-process Pub/Sub server, for tests that inspect it or inject faults."""
    async with PubSubServer() as running:
        yield running


@pytest.fixture(scope="module")
def topics(server: PubSubServer) -> None:
    """The two topics of a deployment, events and dead letters."""
    create_topics(server)


@pytest.fixture(scope="module")
async def receive(server: PubSubServer, topics: None) -> AsyncIterator[Function]:  # noqa: ARG001
    """The function `receive` with two active secrets."""
    secrets = {"PENDO_WEBHOOK_SECRETS": f"{RETIRED_SECRET} {SECRET}"}
    async with Function("receive", receive_env(server.host, settings=secrets)) as function:
        yield function


@pytest.fixture
async def aep() -> AsyncIterator[AepServer]:
    """An AEP stand-in that only this test uses."""
    async with AepServer() as running:
        yield running


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client without a limit on connections."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """PostgreSQL. Without it the tests are skipped; in CI they fail, so that somebody notices."""
    programs = find_postgres()
    if programs is None:
        why = "PostgreSQL is not installed: what Query Service would answer is tested with it"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    with run_postgres(programs) as server:
        yield server

"""What the tests share: the Pub/Sub servers, the AEP stand-in, and clients of the functions."""

from __future__ import annotations

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
from local.pubsub import PubSubServer


def pytest_addoption(parser: pytest.Parser) -> None:
    """Whether Google's emulator is used."""
    parser.addoption(
        "--emulator",
        choices=["required", "off"],
        default="off",
        help="Google's Pub/Sub emulator: it must be there, or its tests are skipped",
    )
    parser.addoption(
        "--outage-seconds",
        type=float,
        default=8.0,
        help="how long AEP is down in the test of an outage",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones begin first, for the others to be done meanwhile."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what tests have recorded of themselves as rows, a table for each name."""
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
    """Async tests and fixtures run on asyncio, as the functions do."""
    return "asyncio"


@dataclass(frozen=True, slots=True)
class PubSub:
    """A Pub/Sub server for tests; `server` is the in-process one, where it is that."""

    host: str
    server: PubSubServer | None


@pytest.fixture(
    scope="session",
    params=["in-process", pytest.param("emulator", marks=pytest.mark.emulator)],
)
async def pubsub(request: pytest.FixtureRequest) -> AsyncIterator[PubSub]:
    """Each test that asks for it runs twice: on our server, and on Google's."""
    if request.param == "in-process":
        async with PubSubServer() as server:
            yield PubSub(server.host, server)
        return
    _skip_without_google(request)
    async with Emulator() as emulator:
        yield PubSub(emulator.host, None)


@pytest.fixture(scope="module")
async def emulator(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Where an emulator of Google's listens that is the module's own."""
    _skip_without_google(request)
    async with Emulator() as running:
        yield running.host


@pytest.fixture(scope="session")
def gcloud(request: pytest.FixtureRequest) -> str:
    """The real gcloud, which comes with the emulator, and is skipped with it."""
    _skip_without_google(request)
    program = shutil.which("gcloud")
    assert program is not None, "gcloud is not on the PATH; see https://cloud.google.com/sdk"
    return program


def _skip_without_google(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--emulator") == "off":
        pytest.skip("gcloud and Google's emulator: `make test-emulator` runs them")


@pytest.fixture(scope="session")
def project_ids() -> Iterator[str]:
    """Names of projects that nothing else on the servers uses."""
    return (f"test-{number}" for number in count())


@pytest.fixture
def project(project_ids: Iterator[str]) -> str:
    """A project of this test's own."""
    return next(project_ids)


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[PubSubServer]:
    """The in-process Pub/Sub server, for tests that look into it or break it."""
    async with PubSubServer() as running:
        yield running


@pytest.fixture
async def aep() -> AsyncIterator[AepServer]:
    """An AEP stand-in of this test's own."""
    async with AepServer() as running:
        yield running


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client, with as many connections as a test wants."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session

"""What the tests share: the Pub/Sub servers, the AEP stand-in, and clients of the functions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count

import aiohttp
import pytest

from local.aep import AepServer
from local.emulator import Emulator, EmulatorMissing, find_jar
from local.pubsub import PubSubServer


def pytest_addoption(parser: pytest.Parser) -> None:
    """Whether Google's emulator is used."""
    parser.addoption(
        "--emulator",
        choices=["auto", "required", "off"],
        default="auto",
        help="Google's Pub/Sub emulator: where it is there (auto), must be there, or not at all",
    )


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
    wanted = request.config.getoption("--emulator")
    if wanted == "off":
        pytest.skip("Google's emulator: switched off (--emulator=off)")
    try:
        find_jar()
    except EmulatorMissing as error:
        if wanted == "required":
            raise
        pytest.skip(f"Google's emulator is not here: {error}")
    async with Emulator() as emulator:
        yield PubSub(emulator.host, None)


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

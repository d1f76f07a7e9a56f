"""The pipeline under test: both functions as processes, between Pub/Sub and an AEP stand-in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal

from google.pubsub_v1.types import Subscription

from local.aep import AcceptedMessage, AepEvent, AepServer
from local.emulator import Emulator
from local.functions import Function
from local.pipeline import (
    DEAD,
    EVENTS,
    PROJECT_ID,
    XDM_SETTINGS,
    PubSubAdmin,
    administer,
    deliver_env,
    receive_env,
)
from local.pubsub import PubSubServer
from local.pubsub.push import PushFlow
from local.tcp_proxy import TcpProxy
from tests.soak.aep_faults import USUAL, AepFaults
from tests.soak.fingerprints import in_aep
from tests.soak.http_client import Connection, NoAnswer
from tests.soak.ledger import Ledger
from tests.soak.letters import collect
from tests.soak.plan import WORKER_TIMEOUT_SECONDS
from tests.soak.ports import lasting_ports

Way = Literal["push", "drain"]
_PULLED: Final = "pulled"
# Shorter than in a deployment: the more often messages go back to Pub/Sub, the more can go wrong.
_DEADLINE_SECONDS: Final = "5"
# Pub/Sub pauses for up to 60 s while every push fails. Here a day's faults come in ten minutes, and
# most of the time would be such pauses, in which nothing is tried.
_PUSH_FLOW: Final = PushFlow(maximum_backoff=5.0)
_DRAIN_SECONDS: Final = 10
# The shortest that Pub/Sub allows: so long rests what a killed `drain` had pulled.
_LEASE_SECONDS: Final = 10
# Between two calls of `drain`, which answers at once while AEP fails.
_CALL_PAUSE_SECONDS: Final = 0.2
_DRAIN_REQUEST: Final = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Setup:
    """What a run is made of.

    Attributes:
        seed: of everything that is drawn.
        way: `push` for `deliver`, `drain` for `drain`.
        form: `raw` or `xdm`.
        has_emulator: whether Pub/Sub is Google's emulator.
        environ: what the functions are told beyond what they need.
    """

    seed: int
    way: Way
    form: str
    has_emulator: bool
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rig:
    """The parts, running."""

    aep: AepServer
    faults: AepFaults
    pubsub: PubSubServer | Emulator
    to_pubsub: TcpProxy
    to_aep: TcpProxy
    receive: Function
    carrier: Function

    @property
    def functions(self) -> Mapping[str, Function]:
        """Both functions, by name."""
        return {function.target: function for function in (self.receive, self.carrier)}


@asynccontextmanager
async def run_rig(setup: Setup, ledger: Ledger) -> AsyncIterator[Rig]:
    """Everything, running until the end of the block; AEP and the dead letters tell the ledger.

    Raises:
        FunctionFailed: a function did not start.
        EmulatorMissing: Google's emulator is not on this machine.
    """

    def note(event: AepEvent) -> None:
        if isinstance(event, AcceptedMessage):
            assert isinstance(event.message, dict)
            ledger.held(event.id, in_aep(event.message))

    aep = AepServer(USUAL, seed=setup.seed, observer=note)
    server = Emulator() if setup.has_emulator else PubSubServer(history=0, push_flow=_PUSH_FLOW)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(aep)
        await stack.enter_async_context(server)
        # What the rig itself does with Pub/Sub does not go through the proxy.
        admin = await stack.enter_async_context(administer(server.host))
        ports = stack.enter_context(closing(lasting_ports()))
        to_pubsub, to_aep = [
            await stack.enter_async_context(TcpProxy(host, next(ports)))
            for host in (server.host, aep.url.removeprefix("http://"))
        ]
        receive, carrier = _functions(setup, aep, to_pubsub.host, to_aep.host, ports)
        await admin.create_topics()
        async with asyncio.TaskGroup() as group:
            for function in (receive, carrier):
                group.create_task(stack.enter_async_context(function))
        letters = await admin.create_pull_subscription("letters", DEAD)
        await stack.enter_async_context(meanwhile(collect(admin, letters, ledger)))
        await _carry(setup.way, admin, carrier, stack)
        faults = AepFaults(aep, Random(setup.seed))  # noqa: S311 (no secret)
        faults.apply()
        yield Rig(aep, faults, server, to_pubsub, to_aep, receive, carrier)


def _functions(
    setup: Setup, aep: AepServer, pubsub_host: str, aep_host: str, ports: Iterator[int]
) -> tuple[Function, Function]:
    environ = {"CLOUD_RUN_TIMEOUT_SECONDS": str(WORKER_TIMEOUT_SECONDS), **setup.environ}
    aep_url = f"http://{aep_host}"
    carrier_settings = {
        **environ,
        **(XDM_SETTINGS if setup.form == "xdm" else {}),
        "AEP_CLIENT_ID": aep.client_id,
        "AEP_CLIENT_SECRET": aep.client_secret,
        "AEP_ENDPOINT": aep.endpoint.replace(aep.url, aep_url),
        "AEP_IMS_URL": aep_url,
        "DELIVER_DEADLINE_SECONDS": _DEADLINE_SECONDS,
        "DRAIN_SUBSCRIPTION": _PULLED,
        "DRAIN_SECONDS": str(_DRAIN_SECONDS),
    }
    target = "deliver" if setup.way == "push" else "drain"
    return (
        Function("receive", receive_env(pubsub_host, settings=environ), port=next(ports)),
        Function(
            target, deliver_env(pubsub_host, aep, settings=carrier_settings), port=next(ports)
        ),
    )


async def _carry(way: Way, admin: PubSubAdmin, carrier: Function, stack: AsyncExitStack) -> None:
    """Has Pub/Sub push to the function, or a scheduler call it again and again."""
    if way == "push":
        await admin.create_push_subscription(carrier.url)
        return
    await admin.subscriber.create_subscription(
        Subscription(
            name=f"projects/{PROJECT_ID}/subscriptions/{_PULLED}",
            topic=f"projects/{PROJECT_ID}/topics/{EVENTS}",
            ack_deadline_seconds=_LEASE_SECONDS,
        )
    )
    await stack.enter_async_context(meanwhile(_call(carrier.port)))


async def _call(port: int) -> None:
    with closing(Connection(port, 2.0 * _DRAIN_SECONDS)) as connection:
        while True:
            with contextlib.suppress(NoAnswer):  # it has been killed, and comes again
                await connection.post(_DRAIN_REQUEST)
            await asyncio.sleep(_CALL_PAUSE_SECONDS)


@asynccontextmanager
async def meanwhile(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Does the work in the background until the end of the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

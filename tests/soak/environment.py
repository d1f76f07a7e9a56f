"""The environment of a soak: both functions as processes, between Pub/Sub and an AEP stand-in."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal

import grpc.aio
from google.api_core.exceptions import GoogleAPICallError

from benchmarks.load import post_request
from local.aep import AcceptedMessage, AepEvent, AepServer
from local.emulator import Emulator
from local.functions import Function
from local.pipeline import (
    DEAD,
    EVENTS,
    XDM_SETTINGS,
    PubSubAdmin,
    administer,
    deliver_env,
    receive_env,
)
from local.pubsub import PubSubServer
from local.pubsub.push import PushFlow
from local.tcp_proxy import TcpProxy
from tests.soak.fault_schedule import NORMAL, WORKER_TIMEOUT_SECONDS, AepFaults
from tests.soak.load_generator import Connection, NoResponse
from tests.soak.reconciliation import Reconciliation
from tests.soak.webhooks import aep_fingerprint, dead_letter_fingerprint

Way = Literal["push", "drain"]
# Below the ports that Linux (32768) and IANA (49152) give to clients.
_PORTS: Final = range(20_000, 32_000)
_PULL_SECONDS: Final = 30.0
_PULLED: Final = "pulled"
# Shorter than in a deployment: the more often messages go back to Pub/Sub, the more can go wrong.
_DEADLINE_SECONDS: Final = "5"
# Pub/Sub pauses for up to 60 s while every push fails. Here a day's faults come in ten minutes, and
# most of the time would be such pauses, in which nothing is tested.
_PUSH_FLOW: Final = PushFlow(maximum_backoff=5.0)
_DRAIN_SECONDS: Final = 10
# The shortest that Pub/Sub allows: for so long it holds back what a killed `drain` had pulled.
_LEASE_SECONDS: Final = 10
# Between two calls of `drain`, which answers at once while AEP fails.
_CALL_PAUSE_SECONDS: Final = 0.2
_DRAIN_REQUEST: Final = post_request(b"", {})


@dataclass(frozen=True, slots=True)
class Setup:
    """How to set up an environment.

    Attributes:
        seed: of everything that is drawn.
        way: `push` for `deliver`, `drain` for `drain`.
        form: `raw` or `xdm`.
        has_emulator: whether Pub/Sub is Google's emulator.
        environ: further settings of the functions.
    """

    seed: int
    way: Way
    form: str
    has_emulator: bool
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Environment:
    """Everything that runs; `carrier` is the function that carries events to AEP."""

    aep: AepServer
    aep_faults: AepFaults
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
async def run_environment(
    setup: Setup, reconciliation: Reconciliation
) -> AsyncIterator[Environment]:
    """Runs everything; what reaches AEP and the dead letters goes into the reconciliation.

    Raises:
        FunctionFailed: A function did not start.
        EmulatorMissing: Google's emulator is not on this machine.
    """

    def observe(event: AepEvent) -> None:
        if isinstance(event, AcceptedMessage):
            assert isinstance(event.message, dict)
            reconciliation.delivered(event.id, aep_fingerprint(event.message))

    aep = AepServer(NORMAL, seed=setup.seed, observer=observe)
    server = Emulator() if setup.has_emulator else PubSubServer(history=0, push_flow=_PUSH_FLOW)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(aep)
        await stack.enter_async_context(server)
        # The soak's own calls of Pub/Sub do not go through the proxy.
        admin = await stack.enter_async_context(administer(server.host))
        ports = stack.enter_context(closing(reserve_ports()))
        to_pubsub, to_aep = [
            await stack.enter_async_context(TcpProxy(host, next(ports)))
            for host in (server.host, aep.url.removeprefix("http://"))
        ]
        receive, carrier = _functions(setup, aep, to_pubsub.host, to_aep.host, ports)
        await admin.create_topics()
        async with asyncio.TaskGroup() as group:
            for function in (receive, carrier):
                group.create_task(stack.enter_async_context(function))
        dead_letters = await admin.create_pull_subscription("dead-letters", DEAD)
        collecting = collect_dead_letters(admin, dead_letters, reconciliation)
        await stack.enter_async_context(in_background(collecting))
        if setup.way == "push":
            await admin.create_push_subscription(carrier.url)
        else:
            await admin.create_pull_subscription(
                _PULLED, EVENTS, ack_deadline_seconds=_LEASE_SECONDS
            )
            await stack.enter_async_context(in_background(_call_repeatedly(carrier.port)))
        faults = AepFaults(aep, Random(setup.seed))  # noqa: S311 (no secret)
        faults.apply()
        yield Environment(aep, faults, server, to_pubsub, to_aep, receive, carrier)


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


async def _call_repeatedly(port: int) -> None:
    """Calls `drain` again and again, as a scheduler would."""
    with closing(Connection(port, 2.0 * _DRAIN_SECONDS)) as connection:
        while True:
            with contextlib.suppress(NoResponse):  # it has been killed, and restarts
                await connection.post(_DRAIN_REQUEST)
            await asyncio.sleep(_CALL_PAUSE_SECONDS)


async def collect_dead_letters(
    admin: PubSubAdmin, subscription: str, reconciliation: Reconciliation
) -> None:
    """Pulls dead letters and records them, until it is cancelled."""
    while True:
        try:
            answer = await admin.subscriber.pull(
                subscription=subscription, max_messages=1000, timeout=_PULL_SECONDS
            )
        except (GoogleAPICallError, grpc.aio.AioRpcError):  # none came: Google's emulator waits
            continue
        received = answer.received_messages
        for found in received:
            attributes = found.message.attributes
            reconciliation.dead_lettered(
                attributes.get("eventId", "a dead letter without an id"),
                dead_letter_fingerprint(found.message.data),
                attributes.get("reason", "none of ours"),
            )
        if received:
            ack_ids = [found.ack_id for found in received]
            await admin.subscriber.acknowledge(subscription=subscription, ack_ids=ack_ids)


def reserve_ports() -> Generator[int]:
    """Yields ports of 127.0.0.1 that a killed function can listen on again.

    They are reserved until the generator is closed: the system gives them to no client, and no
    other soak takes them. A client that is given the very port it connects to, while nothing
    listens there, would be connected to itself and hold the port.

    Raises:
        OSError: There is none.
    """
    with ExitStack() as reserved:
        for port in _PORTS:
            try:
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
                # UDP has ports of its own: this one marks its TCP twin as taken.
                mark = reserved.enter_context(socket.socket(type=socket.SOCK_DGRAM))
                mark.bind(("127.0.0.1", port))
            except OSError:
                continue
            yield port
    raise OSError(f"no port from {_PORTS.start} to {_PORTS.stop} is free")


@asynccontextmanager
async def in_background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Does the work in the background until the end of the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

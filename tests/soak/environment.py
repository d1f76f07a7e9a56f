"""The environment of a soak: both functions as processes, between Pub/Sub and an AEP stand-in."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal

from local.aep import AcceptedMessage, AepEvent, AepServer
from local.emulator import Emulator
from local.functions import Function
from local.pipeline import (
    XDM_SETTINGS,
    FunctionName,
    Pipeline,
    call_repeatedly,
    in_background,
    run_pipeline,
    token_settings,
)
from local.pubsub import PubSubServer
from local.pubsub.push import PushFlow
from local.tcp_proxy import TcpProxy
from tests.soak.fault_schedule import NORMAL, WORKER_TIMEOUT_SECONDS, AepFaults
from tests.soak.reconciliation import Reconciliation
from tests.soak.webhooks import aep_fingerprint, dead_letter_fingerprint

Way = Literal["push", "drain"]
# Below the ports that Linux (32768) and IANA (49152) give to clients.
_PORTS: Final = range(20_000, 32_000)
# Shorter than in a deployment: the more often messages go back to Pub/Sub, the more can go wrong.
_DEADLINE_SECONDS: Final = "5"
# Pub/Sub pauses for up to 60 s while every push fails. Here a day's faults come in ten minutes, and
# most of the time would be such pauses, in which nothing is tested.
_PUSH_FLOW: Final = PushFlow(maximum_backoff=5.0)
_DRAIN_SECONDS: Final = "10"


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
    pipeline: Pipeline
    carrier: Function


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
        ports = stack.enter_context(closing(reserve_ports()))
        to_pubsub, to_aep = [
            await stack.enter_async_context(TcpProxy(host, next(ports)))
            for host in (server.host, aep.url.removeprefix("http://"))
        ]
        carrier_name: FunctionName = "deliver" if setup.way == "push" else "drain"
        environ = {"CLOUD_RUN_TIMEOUT_SECONDS": str(WORKER_TIMEOUT_SECONDS), **setup.environ}
        pipeline = await stack.enter_async_context(
            run_pipeline(
                server.host,  # the soak's own calls of Pub/Sub do not go through the proxy
                aep,
                functions=("receive", carrier_name),
                receive_settings=environ,
                deliver_settings=environ | _carrier_settings(setup, aep, to_aep),
                functions_host=to_pubsub.host,
                ports={"receive": next(ports), carrier_name: next(ports)},
            )
        )
        await stack.enter_async_context(
            in_background(record_dead_letters(pipeline, reconciliation))
        )
        carrier = pipeline.functions[carrier_name]
        if setup.way == "drain":
            await stack.enter_async_context(call_repeatedly(carrier))
        faults = AepFaults(aep, Random(setup.seed))  # noqa: S311 (no secret)
        faults.apply()
        yield Environment(aep, faults, server, to_pubsub, to_aep, pipeline, carrier)


def _carrier_settings(setup: Setup, aep: AepServer, to_aep: TcpProxy) -> dict[str, str]:
    aep_url = f"http://{to_aep.host}"
    return {
        **(XDM_SETTINGS if setup.form == "xdm" else {}),
        **token_settings(aep),
        "AEP_ENDPOINT": aep.endpoint.replace(aep.url, aep_url),
        "AEP_IMS_URL": aep_url,
        "DELIVER_DEADLINE_SECONDS": _DEADLINE_SECONDS,
        "DRAIN_SECONDS": _DRAIN_SECONDS,
    }


async def record_dead_letters(pipeline: Pipeline, reconciliation: Reconciliation) -> None:
    """Records the dead letters, until it is cancelled."""
    async for letter in pipeline.dead_letters():
        reconciliation.dead_lettered(
            letter.attributes.get("eventId", "a dead letter without an id"),
            dead_letter_fingerprint(letter.data),
            letter.attributes.get("reason", "none of ours"),
        )


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

"""Runs the local pipeline with its console."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from local.adobe import Adobe, run_adobe
from local.aep import AepServer
from local.console.actions import Actions, WebhookSender, make_replayer
from local.console.fault_injection import FaultInjector
from local.console.lake_faults import LakeFaults
from local.console.lake_tracker import LakeTracker
from local.console.recording_proxy import recording
from local.console.security import PortTaken
from local.console.server import ConsoleServer
from local.console.state import State
from local.console.trackers import AepTracker, PubSubTracker, ReceiveTracker
from local.dataflow import MessageFormat
from local.functions import Function, Line
from local.pipeline import (
    DEAD,
    DEAD_KEPT,
    EVENTS,
    INLET,
    PROJECT_ID,
    PUSH,
    SECRET,
    Pipeline,
    administer,
    deliver_env,
    pubsub_env,
    receive_env,
    run_pipeline,
    token_settings,
)
from local.pubsub import PubSubServer
from local.samples import load_samples

_EVENTS: Final = f"projects/{PROJECT_ID}/topics/{EVENTS}"
_DEAD: Final = f"projects/{PROJECT_ID}/topics/{DEAD}"
_PUSH: Final = f"projects/{PROJECT_ID}/subscriptions/{PUSH}"
_KEPT: Final = f"projects/{PROJECT_ID}/subscriptions/{DEAD_KEPT}"
# The Pub/Sub server keeps everything by default, for tests.
_HISTORY: Final = 20_000
# AEP takes minutes; people who watch should see it happen, and not wait for it.
_INGEST_AFTER_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The ports to listen on; 0 is any free port.

    Attributes:
        webhooks: of the recording proxy in front of `receive`.
        any_console: whether the console may use any free port if its own is taken.
        any_webhooks: the same for the recording proxy.
    """

    console: int = 0
    webhooks: int = 0
    pubsub: int = 0
    aep: int = 0
    any_console: bool = False
    any_webhooks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalFunctions:
    """The URLs of functions that were started elsewhere; an empty URL means one is started here."""

    receive_url: str
    deliver_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The running parts.

    Attributes:
        url: the URL of the console.
        webhook_url: where to send webhooks: the recording proxy in front of `receive`.
        adobe: AEP with its dataflow and its data lake.
        lake_problem: why the data lake cannot be queried; empty if it can.
        pipeline: the functions; None if `receive` was started elsewhere.
        environments: the settings of the functions and of `pendo-aep`, by their names.
    """

    url: str
    webhook_url: str
    state: State
    pubsub: PubSubServer
    aep: AepServer
    adobe: Adobe
    lake_problem: str
    actions: Actions
    pipeline: Pipeline | None
    environments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@asynccontextmanager
async def run_with_console(
    *,
    ports: Ports | None = None,
    secrets: str = SECRET,
    message_format: MessageFormat = "raw",
    external: ExternalFunctions | None = None,
    on_line: Callable[[str, Line], None] | None = None,
    function_settings: Mapping[str, str] | None = None,
    ingest_after_seconds: float = _INGEST_AFTER_SECONDS,
) -> AsyncIterator[Running]:
    """Runs the pipeline and its console.

    Args:
        ports: The ports; any free ones by default.
        secrets: The webhook secrets of `receive`; the console signs with the first.
        message_format: What `deliver` sends.
        external: Functions that were started elsewhere.
        on_line: Called with each log line of the functions started here.
        function_settings: Further settings of the functions started here.
        ingest_after_seconds: How long after AEP has accepted an event it is stored.

    Raises:
        FunctionFailed: A function did not start.
        PortTaken: A port is taken by another process.
    """
    ports = ports or Ports()
    state = State()
    webhooks = ReceiveTracker(state)

    def track_line(target: str, line: Line) -> None:
        webhooks.line(target, line)
        if on_line is not None:
            on_line(target, line)

    async with AsyncExitStack() as stack:
        aep = AepServer(inlet=INLET, observer=AepTracker(state), port=ports.aep)
        pubsub = PubSubServer(port=ports.pubsub, history=_HISTORY)
        for stand_in, port in ((aep, ports.aep), (pubsub, ports.pubsub)):
            try:
                await stack.enter_async_context(stand_in)
            except (OSError, RuntimeError):  # gRPC raises RuntimeError
                raise PortTaken(port) from None
        pubsub.observe(PubSubTracker(state, events=_EVENTS, dead=_DEAD, push=_PUSH, kept=_KEPT))
        adobe = await stack.enter_async_context(
            run_adobe(
                aep,
                message_format,
                ingest_after_seconds=ingest_after_seconds,
                observer=LakeTracker(state),
            )
        )
        further = function_settings or {}
        of_receive = {"PENDO_WEBHOOK_SECRETS": secrets, **further}
        of_deliver = {**token_settings(aep), **adobe.dataflow.settings, **further}
        environments = {
            "receive": receive_env(pubsub.host, settings=of_receive),
            "deliver": deliver_env(pubsub.host, aep, settings=of_deliver),
            "pendo-aep": adobe.settings | pubsub_env(pubsub.host),
        }
        pipeline: Pipeline | None = None
        functions: dict[str, Function] = {}
        if external is None:
            pipeline = await stack.enter_async_context(
                run_pipeline(
                    pubsub.host,
                    aep,
                    receive_settings=of_receive,
                    deliver_settings=of_deliver,
                    on_line=track_line,
                )
            )
            functions = dict(pipeline.functions)
            receive_url = pipeline.receive.url
        else:
            receive_url = external.receive_url
            functions = await _set_up_external(
                stack, pubsub.host, external, environments, track_line
            )
        lake_problem = await adobe.lake.started()
        webhook_url = await stack.enter_async_context(
            recording(receive_url, webhooks.webhook, port=ports.webhooks, or_any=ports.any_webhooks)
        )
        sender = await stack.enter_async_context(
            WebhookSender(webhook_url, secrets.split()[0], state.changed)
        )
        actions = Actions(
            sender,
            FaultInjector(aep, pubsub, state.changed, LakeFaults(adobe.platform, adobe.dataflow)),
            make_replayer(pubsub.host, _EVENTS, _KEPT),
            functions,
            state.changed,
        )
        facts = {
            "webhooks": webhook_url,
            "receive": receive_url,
            "AEP": adobe.dataflow.endpoint,
            "AEP's APIs": adobe.platform.url,
            "data lake": lake_problem or adobe.lake.address,
        }
        server = ConsoleServer(state, actions, load_samples(), facts)
        url = await stack.enter_async_context(
            server.serving(ports.console, or_any=ports.any_console)
        )
        yield Running(
            url=url,
            webhook_url=webhook_url,
            state=state,
            pubsub=pubsub,
            aep=aep,
            adobe=adobe,
            lake_problem=lake_problem,
            actions=actions,
            pipeline=pipeline,
            environments=environments,
        )


async def _set_up_external(
    stack: AsyncExitStack,
    host: str,
    external: ExternalFunctions,
    environments: Mapping[str, Mapping[str, str]],
    on_line: Callable[[str, Line], None],
) -> dict[str, Function]:
    """Creates topics and subscriptions for external functions; returns those started here."""
    functions: dict[str, Function] = {}
    deliver_url = external.deliver_url
    async with administer(host) as admin:
        await admin.create_topics()
        await admin.create_pull_subscription(DEAD_KEPT, DEAD)
        if not deliver_url:
            deliver = Function("deliver", environments["deliver"], on_line=on_line)
            functions["deliver"] = await stack.enter_async_context(deliver)
            deliver_url = deliver.url
        await admin.create_push_subscription(deliver_url)
    return functions

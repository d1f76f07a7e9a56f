"""The local pipeline with its console: every part, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from local.aep import AepServer
from local.aep.server import CLIENT_ID, CLIENT_SECRET
from local.console.aep_story import AepStory
from local.console.hands import Hands, replayer
from local.console.injections import Injections
from local.console.listen import PortTaken
from local.console.pubsub_story import PubSubStory
from local.console.receive_story import ReceiveStory
from local.console.senders import WebhookSender
from local.console.server import ConsoleServer
from local.console.state import State
from local.console.tap import recording
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
    receive_env,
    run_pipeline,
)
from local.pubsub import PubSubServer
from local.samples import load_samples

_EVENTS: Final = f"projects/{PROJECT_ID}/topics/{EVENTS}"
_DEAD: Final = f"projects/{PROJECT_ID}/topics/{DEAD}"
_PUSH: Final = f"projects/{PROJECT_ID}/subscriptions/{PUSH}"
_KEPT: Final = f"projects/{PROJECT_ID}/subscriptions/{DEAD_KEPT}"
# Of the stand-in's memory of Pub/Sub, which is that of tests otherwise: everything.
_HISTORY: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where to listen; 0 is a free port.

    Attributes:
        any_console: whether another will do for the console if its port is taken.
        any_webhooks: the same for the recorder.
    """

    console: int = 0
    webhooks: int = 0
    pubsub: int = 0
    aep: int = 0
    any_console: bool = False
    any_webhooks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Yours:
    """Functions that somebody started themselves, by where they listen; empty is ours."""

    receive_url: str
    deliver_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The parts, running.

    Attributes:
        url: of the console.
        webhook_url: where webhooks go: the recorder in front of `receive`.
        pipeline: our functions; None where somebody else's are used.
        environments: what functions must be told to be part of it, by their names.
    """

    url: str
    webhook_url: str
    state: State
    pubsub: PubSubServer
    aep: AepServer
    hands: Hands
    pipeline: Pipeline | None
    environments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@asynccontextmanager
async def run_with_console(
    *,
    ports: Ports | None = None,
    secrets: str = SECRET,
    deliver_settings: Mapping[str, str] | None = None,
    yours: Yours | None = None,
    on_line: Callable[[str, Line], None] | None = None,
) -> AsyncIterator[Running]:
    """Runs the pipeline, and the console that shows it.

    Args:
        ports: where to listen; free ports if it is not given.
        secrets: the webhook secrets that `receive` knows; the console signs with the first.
        deliver_settings: settings of `deliver` beyond what it needs.
        yours: functions of somebody else's instead of ours.
        on_line: is called with each log line of our functions.

    Raises:
        FunctionFailed: a function did not start.
        PortTaken: somebody else listens on a port that was asked for.
    """
    ports = ports or Ports()
    state = State()
    story = ReceiveStory(state)

    def line(target: str, said: Line) -> None:
        story.line(target, said)
        if on_line is not None:
            on_line(target, said)

    async with AsyncExitStack() as stack:
        aep = AepServer(inlet=INLET, observer=AepStory(state), port=ports.aep)
        pubsub = PubSubServer(port=ports.pubsub, history=_HISTORY)
        for stand_in, port in ((aep, ports.aep), (pubsub, ports.pubsub)):
            try:
                await stack.enter_async_context(stand_in)
            except (OSError, RuntimeError):  # RuntimeError: as gRPC says it
                raise PortTaken(port) from None
        pubsub.observe(PubSubStory(state, events=_EVENTS, dead=_DEAD, push=_PUSH, kept=_KEPT))
        wanted = _credentials(aep) | dict(deliver_settings or {})
        environments = {
            "receive": receive_env(pubsub.host, settings={"PENDO_WEBHOOK_SECRETS": secrets}),
            "deliver": deliver_env(pubsub.host, aep, settings=wanted),
        }
        pipeline: Pipeline | None = None
        functions: dict[str, Function] = {}
        if yours is None:
            pipeline = await stack.enter_async_context(
                run_pipeline(
                    pubsub.host,
                    aep,
                    receive_settings={"PENDO_WEBHOOK_SECRETS": secrets},
                    deliver_settings=wanted,
                    on_line=line,
                )
            )
            functions = {"receive": pipeline.receive, "deliver": pipeline.deliver}
            receive_url = pipeline.receive.url
        else:
            receive_url = yours.receive_url
            functions = await _set_up_around(stack, pubsub.host, yours, environments, line)
        webhook_url = await stack.enter_async_context(
            recording(receive_url, story.webhook, port=ports.webhooks, or_any=ports.any_webhooks)
        )
        sender = await stack.enter_async_context(
            WebhookSender(webhook_url, secrets.split()[0], state.changed)
        )
        hands = Hands(
            sender,
            Injections(aep, pubsub, state.changed),
            replayer(pubsub.host, _EVENTS, _KEPT),
            functions,
            state.changed,
        )
        facts = {"webhooks": webhook_url, "receive": receive_url, "AEP": aep.endpoint}
        server = ConsoleServer(state, hands, load_samples(), facts)
        url = await stack.enter_async_context(
            server.serving(ports.console, or_any=ports.any_console)
        )
        yield Running(
            url=url,
            webhook_url=webhook_url,
            state=state,
            pubsub=pubsub,
            aep=aep,
            hands=hands,
            pipeline=pipeline,
            environments=environments,
        )


def _credentials(aep: AepServer) -> dict[str, str]:
    """So that `deliver` can get a token as soon as the inlet wants one."""
    return {
        "AEP_CLIENT_ID": CLIENT_ID,
        "AEP_CLIENT_SECRET": CLIENT_SECRET,
        "AEP_IMS_URL": aep.url,
    }


async def _set_up_around(
    stack: AsyncExitStack,
    host: str,
    yours: Yours,
    environments: Mapping[str, Mapping[str, str]],
    line: Callable[[str, Line], None],
) -> dict[str, Function]:
    """Topics and subscriptions for functions of somebody else's; answers those that are ours."""
    functions: dict[str, Function] = {}
    deliver_url = yours.deliver_url
    async with administer(host) as admin:
        await admin.create_topics()
        await admin.create_pull_subscription(DEAD_KEPT, DEAD)
        if not deliver_url:
            deliver = Function("deliver", environments["deliver"], on_line=line)
            functions["deliver"] = await stack.enter_async_context(deliver)
            deliver_url = deliver.url
        await admin.create_push_subscription(deliver_url)
    return functions

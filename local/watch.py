"""Running the pipeline for somebody at a terminal: the samples once, or until they leave."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shlex
import signal
from typing import Final

from rich.console import Console

from local.aep import AepServer
from local.console.run import Ports, Running, Yours, run_with_console
from local.emulator import Emulator
from local.journey import travel
from local.options import CONSOLE_PORT, WEBHOOK_PORT
from local.pipeline import SECRET, XDM_SETTINGS, run_pipeline
from local.pubsub import PubSubServer
from local.samples import load_samples
from local.terminal import Log, report

_SECRETS: Final = "PENDO_WEBHOOK_SECRETS"


async def once(options: argparse.Namespace, console: Console) -> int:
    """Sends the samples through; answers 0 if every one ended as expected."""
    return await _without_console(options, console, stays=False)


async def stay(options: argparse.Namespace, console: Console) -> int:
    """Sends the samples through, and stays until Ctrl-C."""
    if options.emulator:
        return await _without_console(options, console, stays=True)
    _end_on_sigterm()
    log = Log(console)
    secrets = os.environ.get(_SECRETS, "").strip() or SECRET
    async with run_with_console(
        ports=_ports(options),
        secrets=secrets,
        deliver_settings=_settings(options),
        yours=_yours(options),
        on_line=log,
    ) as running:
        is_well = True
        if running.pipeline is not None and not options.no_samples:
            is_well = await _send_samples(console, running, secrets.split()[0])
        _say_what_is_there(console, running, has_own_secret=secrets != SECRET)
        log.is_shown = True
        await _until_ctrl_c()
    return 0 if is_well else 1


async def _send_samples(console: Console, running: Running, secret: str) -> bool:
    assert running.pipeline is not None  # noqa: S101 (the caller has looked)
    url = running.webhook_url
    journeys = await asyncio.gather(
        *(
            travel(sample, running.pipeline, running.aep, url=url, secret=secret)
            for sample in load_samples()
        )
    )
    return report(console, journeys, running.aep)


async def _without_console(options: argparse.Namespace, console: Console, *, stays: bool) -> int:
    _end_on_sigterm()
    log = Log(console)
    server = Emulator() if options.emulator else PubSubServer()
    async with (
        AepServer() as aep,
        server,
        run_pipeline(
            server.host, aep, deliver_settings=_settings(options), on_line=log
        ) as pipeline,
    ):
        journeys = await asyncio.gather(*(travel(s, pipeline, aep) for s in load_samples()))
        is_well = report(console, journeys, aep)
        if stays:
            _say_how_to_send(console, pipeline.receive.url, aep)
            log.is_shown = True
            await _until_ctrl_c()
    return 0 if is_well else 1


def _settings(options: argparse.Namespace) -> dict[str, str]:
    return dict(XDM_SETTINGS) if options.format == "xdm" else {}


def _ports(options: argparse.Namespace) -> Ports:
    is_yours = bool(options.receive_url)
    return Ports(
        console=CONSOLE_PORT if options.port is None else options.port,
        webhooks=WEBHOOK_PORT if options.webhook_port is None else options.webhook_port,
        pubsub=options.pubsub_port if is_yours else 0,
        aep=options.aep_port if is_yours else 0,
        any_console=options.port is None,
        any_webhooks=options.webhook_port is None,
    )


def _yours(options: argparse.Namespace) -> Yours | None:
    if not options.receive_url:
        return None
    return Yours(receive_url=options.receive_url, deliver_url=options.deliver_url or "")


def _end_on_sigterm() -> None:
    """As Ctrl-C: whatever is open is left in order, so that no process stays behind."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (the callers are coroutines)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _until_ctrl_c() -> None:
    with contextlib.suppress(asyncio.CancelledError):  # Ctrl-C is how this ends
        await asyncio.Event().wait()


def _say_what_is_there(console: Console, running: Running, *, has_own_secret: bool) -> None:
    secret = f"yours, from {_SECRETS}" if has_own_secret else SECRET
    lines = [
        "",
        f"console        {running.url}",
        f"webhooks       {running.webhook_url} (recorded, and passed on to receive)",
        f"webhook secret {secret}",
        f"AEP stand-in   {running.aep.endpoint}",
    ]
    if running.pipeline is None:
        lines += ["", *_how_to_start(running)]
    lines += ["", "What the functions log follows. Ctrl-C ends everything."]
    _print(console, "\n".join(lines))


def _how_to_start(running: Running) -> list[str]:
    told = ["Start your functions with these settings, where you said that they listen:"]
    for target, environment in running.environments.items():
        if target in running.hands.functions:
            continue
        settings = " ".join(f"{name}={shlex.quote(v)}" for name, v in environment.items())
        told.append(f"  {settings} \\\n    functions-framework --target={target} --port=...")
    return told


def _say_how_to_send(console: Console, receive_url: str, aep: AepServer) -> None:
    body = "sample_events/nps_submitted_comment.json"
    _print(
        console,
        f"""
receive        {receive_url}
AEP stand-in   {aep.endpoint}
webhook secret {SECRET}

Send one yourself:
  curl {receive_url} --data-binary @{body} -H "X-Pendo-Signature: \
    $(openssl dgst -sha256 -hmac {SECRET} < {body} | sed 's/.*= //')"

What the functions log follows. Ctrl-C ends everything.""",
    )


def _print(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)

"""Runs the pipeline for a person at a terminal, and prints log lines and a table of the samples."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from local.adobe import Adobe, run_adobe
from local.aep import AepServer
from local.console.run import ExternalFunctions, Ports, Running, run_with_console
from local.emulator import Emulator
from local.environment_file import environment_file
from local.functions import Line
from local.pipeline import SECRET, pubsub_env, run_pipeline, token_settings
from local.pubsub import PubSubServer
from local.sample_trace import SampleTrace, trace_sample
from local.samples import load_samples

_SECRETS: Final = "PENDO_WEBHOOK_SECRETS"
# Nobody watches it happen.
_INGEST_AFTER_SECONDS: Final = 0.05
_STYLES: Final = {"INFO": "", "WARNING": "yellow"}


async def run_once(options: argparse.Namespace, console: Console) -> int:
    """Sends the samples and returns 0 if every one ended as expected."""
    return await _run_without_console(options, console, keep_running=False)


async def run_until_interrupted(options: argparse.Namespace, console: Console) -> int:
    """Sends the samples and keeps running until Ctrl-C."""
    if options.emulator:
        return await _run_without_console(options, console, keep_running=True)
    _exit_on_sigterm()
    log = LogPrinter(console)
    secrets = os.environ.get(_SECRETS, "").strip() or SECRET
    is_external = bool(options.receive_url)
    async with run_with_console(
        ports=Ports(
            console=options.port,
            webhooks=options.webhook_port,
            pubsub=options.pubsub_port if is_external else 0,
            aep=options.aep_port if is_external else 0,
            any_console=options.any_port,
            any_webhooks=options.any_webhook_port,
        ),
        secrets=secrets,
        message_format=options.format,
        external=ExternalFunctions(
            receive_url=options.receive_url, deliver_url=options.deliver_url or ""
        )
        if is_external
        else None,
        on_line=log,
    ) as running:
        is_ok = True
        _print_lake_problem(console, running.lake_problem)
        if running.pipeline is not None and not options.no_samples:
            traces = await asyncio.gather(
                *(
                    trace_sample(
                        sample,
                        running.pipeline,
                        running.aep,
                        records=running.adobe.records,
                        url=running.webhook_url,
                        secret=secrets.split()[0],
                    )
                    for sample in load_samples()
                )
            )
            is_ok = print_report(console, traces, running.adobe)
        settings = running.environments["pendo-aep"]
        with environment_file(settings) as file:
            _print_addresses(console, running, file, has_own_secret=secrets != SECRET)
            log.is_shown = True
            await _wait_for_ctrl_c()
    return 0 if is_ok else 1


async def _run_without_console(
    options: argparse.Namespace, console: Console, *, keep_running: bool
) -> int:
    _exit_on_sigterm()
    log = LogPrinter(console)
    server = Emulator() if options.emulator else PubSubServer()
    async with (
        AepServer() as aep,
        server,
        run_adobe(aep, options.format, ingest_after_seconds=_INGEST_AFTER_SECONDS) as adobe,
        run_pipeline(
            server.host,
            aep,
            deliver_settings=token_settings(aep) | dict(adobe.dataflow.settings),
            on_line=log,
        ) as pipeline,
    ):
        _print_lake_problem(console, await adobe.lake.started())
        traces = await asyncio.gather(
            *(trace_sample(s, pipeline, aep, records=adobe.records) for s in load_samples())
        )
        is_ok = print_report(console, traces, adobe)
        if keep_running:
            with environment_file(adobe.settings | pubsub_env(server.host)) as file:
                _print_curl(console, pipeline.receive.url, adobe, file)
                log.is_shown = True
                await _wait_for_ctrl_c()
    return 0 if is_ok else 1


def _exit_on_sigterm() -> None:
    """Handles SIGTERM like Ctrl-C, so that everything is closed and no process is left."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (the callers are coroutines)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _wait_for_ctrl_c() -> None:
    with contextlib.suppress(asyncio.CancelledError):  # Ctrl-C is the normal end
        await asyncio.Event().wait()


class LogPrinter:
    """Prints the functions' log lines: before the table only warnings and errors, then all."""

    def __init__(self, console: Console) -> None:
        self.is_shown = False
        self._console = console

    def __call__(self, target: str, line: Line) -> None:
        """Prints one line of a function."""
        severity = line.get("severity", "INFO")
        if not self.is_shown and severity == "INFO":
            return
        other = {
            k: v for k, v in line.items() if k not in {"severity", "message"} and v is not None
        }
        fields = " ".join(f"{key.rpartition('/')[2]}={value}" for key, value in other.items())
        self._console.print(
            f"{target:8}{line.get('message')}  {fields}",
            style=_STYLES.get(severity, "red"),
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def print_report(console: Console, traces: Sequence[SampleTrace], adobe: Adobe) -> bool:
    """Prints what became of each sample; returns whether all ended as expected."""
    console.print(_table(traces))
    failed = [trace for trace in traces if trace.problem]
    for trace in failed:
        console.print(f"{trace.sample.name}: {trace.problem}", style="red", markup=False)
    aep = adobe.aep
    batches = len(aep.requests)
    console.print(
        f"{len(traces) - len(failed)} of {len(traces)} samples ended as expected; "
        f"{len(aep.accepted)} messages in {batches} AEP request{'s' if batches > 1 else ''}, "
        f"{adobe.records.stored} stored."
    )
    return not failed


def _table(traces: Sequence[SampleTrace]) -> Table:
    table = Table(
        title="Pendo -> receive -> Pub/Sub -> deliver -> AEP -> data lake",
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),  # fits a terminal of 80 columns
    )
    table.add_column("")
    table.add_column("sample", no_wrap=True, overflow="ellipsis")
    for heading in ("event type", "receive"):
        table.add_column(heading, no_wrap=True, min_width=len("200 accepted"))
    table.add_column("tries", justify="right", min_width=5)
    table.add_column("end", no_wrap=True, min_width=len("accepted"))
    table.add_column("ms", justify="right", min_width=4)
    for trace in traces:
        table.add_row(
            "[red]✗[/]" if trace.problem else "[green]✓[/]",
            trace.sample.name,
            trace.event_type or "-",
            trace.answer,
            str(trace.attempts or "-"),
            trace.outcome,
            "-" if trace.milliseconds is None else f"{trace.milliseconds:.0f}",
        )
    return table


def _print_lake_problem(console: Console, problem: str) -> None:
    if problem:
        text = f"The data lake cannot be queried, so reconcile cannot run: {problem}"
        console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _print_addresses(
    console: Console, running: Running, file: Path | None, *, has_own_secret: bool
) -> None:
    secret = f"yours, from {_SECRETS}" if has_own_secret else SECRET
    lines = [
        "",
        f"console        {running.url}",
        f"webhooks       {running.webhook_url} (recorded and forwarded to receive)",
        f"webhook secret {secret}",
        f"AEP stand-in   {running.adobe.dataflow.endpoint}",
        *_pendo_aep(file),
    ]
    if running.pipeline is None:
        lines += ["", *_start_commands(running)]
    lines += ["", "Log lines of the functions follow. Ctrl-C ends everything."]
    _print(console, "\n".join(lines))


def _pendo_aep(file: Path | None) -> list[str]:
    if file is None:
        return ["pendo-aep      no settings for it: this folder cannot be written to"]
    return [f"pendo-aep      its settings are in {file}: pendo-aep status --config {file}"]


def _start_commands(running: Running) -> list[str]:
    lines = ["Start your functions with these settings, at the URLs that you gave:"]
    for target in ("receive", "deliver"):
        if target in running.actions.functions:
            continue
        environment = running.environments[target]
        settings = " ".join(f"{name}={shlex.quote(v)}" for name, v in environment.items())
        lines.append(f"  {settings} \\\n    functions-framework --target={target} --port=...")
    return lines


def _print_curl(console: Console, receive_url: str, adobe: Adobe, file: Path | None) -> None:
    body = "sample_events/nps_submitted_comment.json"
    _print(
        console,
        f"""
receive        {receive_url}
AEP stand-in   {adobe.dataflow.endpoint}
webhook secret {SECRET}
{"".join(_pendo_aep(file))}

Send one yourself:
  curl {receive_url} --data-binary @{body} -H "X-Pendo-Signature: \
    $(openssl dgst -sha256 -hmac {SECRET} < {body} | sed 's/.*= //')"

Log lines of the functions follow. Ctrl-C ends everything.""",
    )


def _print(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)

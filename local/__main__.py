"""`python -m local`: the whole pipeline on this machine, with every sample event sent through."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from rich.console import Console
from rich.table import Table

from local.aep import AepServer
from local.emulator import Emulator, EmulatorMissing
from local.functions import FunctionFailed, Line
from local.journey import Journey, travel
from local.pipeline import SECRET, XDM_SETTINGS, Pipeline, run_pipeline
from local.pubsub import PubSubServer
from local.samples import load_samples

_STYLES = {"INFO": "", "WARNING": "yellow"}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; answers its exit code."""
    options = _parser().parse_args(arguments)
    console = Console()
    if not console.is_terminal:
        console.width = 200  # piped: nothing is to be cut
    try:
        return asyncio.run(_run(options, console))
    except EmulatorMissing as error:
        console.print(f"Google's Pub/Sub emulator is missing: {error}", style="red")
    except FunctionFailed as error:
        console.print(str(error), style="red", markup=False, highlight=False)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130  # stopped before all had arrived
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description="Runs receive, Pub/Sub, deliver and an AEP stand-in on this machine, signs and "
        "posts every event of sample_events/, shows what became of each, and stays until Ctrl-C.",
    )
    parser.add_argument(
        "--once",
        action="store_true",
        help="end after the samples; exit 0 only if every one ended as expected",
    )
    parser.add_argument(
        "--emulator",
        action="store_true",
        help="use Google's Pub/Sub emulator (gcloud and Java) instead of the one in this process",
    )
    parser.add_argument(
        "--format",
        choices=["raw", "xdm"],
        default="raw",
        help="what deliver sends: the normalised event, or XDM (default: %(default)s)",
    )
    return parser


async def _run(options: argparse.Namespace, console: Console) -> int:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (this is a coroutine)
    # As for Ctrl-C: whatever is open is left in order, so that no process stays behind.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    log = _Log(console)
    async with _pipeline(options, log) as (pipeline, aep):
        journeys = await asyncio.gather(*(travel(s, pipeline, aep) for s in load_samples()))
        console.print(_table(journeys))
        failed = [journey for journey in journeys if journey.problem]
        for journey in failed:
            console.print(f"{journey.sample.name}: {journey.problem}", style="red", markup=False)
        batches = len(aep.requests)
        console.print(
            f"{len(journeys) - len(failed)} of {len(journeys)} samples ended as expected; "
            f"{len(aep.accepted)} messages in {batches} AEP request{'s' if batches > 1 else ''}."
        )
        if not options.once:
            _say_what_is_there(console, pipeline, aep)
            log.is_shown = True
            with contextlib.suppress(asyncio.CancelledError):  # Ctrl-C is how this ends
                await asyncio.Event().wait()
    return 1 if failed else 0


@asynccontextmanager
async def _pipeline(
    options: argparse.Namespace, log: _Log
) -> AsyncIterator[tuple[Pipeline, AepServer]]:
    server = Emulator() if options.emulator else PubSubServer()
    settings = XDM_SETTINGS if options.format == "xdm" else {}
    async with (
        AepServer() as aep,
        server,
        run_pipeline(server.host, aep, deliver_settings=settings, on_line=log) as pipeline,
    ):
        yield pipeline, aep


class _Log:
    """Shows the functions' log lines once the table stands; before, only what went wrong."""

    def __init__(self, console: Console) -> None:
        self.is_shown = False
        self._console = console

    def __call__(self, target: str, line: Line) -> None:
        severity = line.get("severity", "INFO")
        if not self.is_shown and severity == "INFO":
            return
        told = {k: v for k, v in line.items() if k not in {"severity", "message"} and v is not None}
        fields = " ".join(f"{key.rpartition('/')[2]}={value}" for key, value in told.items())
        self._console.print(
            f"{target:8}{line.get('message')}  {fields}",
            style=_STYLES.get(severity, "red"),
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _table(journeys: Sequence[Journey]) -> Table:
    table = Table(
        title="Pendo -> receive -> Pub/Sub -> deliver -> AEP",
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),  # fits a terminal of 80 columns
    )
    table.add_column("")
    table.add_column("sample", no_wrap=True, overflow="ellipsis")
    for heading in ("event type", "receive"):
        table.add_column(heading, no_wrap=True, min_width=len("200 accepted"))
    table.add_column("tries", justify="right", min_width=5)
    table.add_column("AEP", min_width=len("accepted"))
    table.add_column("ms", justify="right", min_width=4)
    for journey in journeys:
        table.add_row(
            "[red]✗[/]" if journey.problem else "[green]✓[/]",
            journey.sample.name,
            journey.event_type or "-",
            journey.answer,
            str(journey.attempts or "-"),
            journey.outcome,
            "-" if journey.milliseconds is None else f"{journey.milliseconds:.0f}",
        )
    return table


def _say_what_is_there(console: Console, pipeline: Pipeline, aep: AepServer) -> None:
    body = "sample_events/nps_submitted_comment.json"
    console.print(
        f"""
receive        {pipeline.receive.url}
deliver        {pipeline.deliver.url}
AEP stand-in   {aep.endpoint}
webhook secret {SECRET}

Send one yourself:
  curl {pipeline.receive.url} --data-binary @{body} -H "X-Pendo-Signature: \
    $(openssl dgst -sha256 -hmac {SECRET} < {body} | sed 's/.*= //')"

What the functions log follows. Ctrl-C ends everything.""",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


if __name__ == "__main__":
    sys.exit(main())

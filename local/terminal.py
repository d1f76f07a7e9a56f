"""What `python -m local` prints: the functions' log lines, and a table of the samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from local.aep import AepServer
from local.functions import Line
from local.journey import Journey

_STYLES: Final = {"INFO": "", "WARNING": "yellow"}


class Log:
    """Shows the functions' log lines once the table stands; before, only what went wrong."""

    def __init__(self, console: Console) -> None:
        self.is_shown = False
        self._console = console

    def __call__(self, target: str, line: Line) -> None:
        """Prints one line of a function."""
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


def report(console: Console, journeys: Sequence[Journey], aep: AepServer) -> bool:
    """Prints what became of each sample; answers whether all ended as expected."""
    console.print(_table(journeys))
    failed = [journey for journey in journeys if journey.problem]
    for journey in failed:
        console.print(f"{journey.sample.name}: {journey.problem}", style="red", markup=False)
    batches = len(aep.requests)
    console.print(
        f"{len(journeys) - len(failed)} of {len(journeys)} samples ended as expected; "
        f"{len(aep.accepted)} messages in {batches} AEP request{'s' if batches > 1 else ''}."
    )
    return not failed


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

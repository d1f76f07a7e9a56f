"""The options of `python -m soak`, and the run that they mean."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import uvloop
from rich.console import Console

from benchmarks.tables import MarkersMissing
from local.emulator import EmulatorMissing
from local.functions import FunctionFailed
from pendo_aep import tune_gc
from tests.soak import fault_schedule, results
from tests.soak.environment import Setup
from tests.soak.fault_schedule import Pace, fault_sources, make_schedule
from tests.soak.reconciliation import Reconciliation
from tests.soak.results import result_table
from tests.soak.run import Run, run_soak


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says.

    Attributes:
        run: what is to be done.
        json: where the result is written.
        records: whether it goes into the page of docs, too.
        shows_plan: whether only the plan is printed.
    """

    run: Run
    json: Path
    records: bool
    shows_plan: bool


def parse(arguments: Sequence[str]) -> Options:
    """Reads them; ends the process where they make no sense."""
    given = _parser().parse_args(arguments)
    seconds = given.minutes * 60
    return Options(
        run=Run(
            setup=Setup(
                seed=given.seed,
                way="drain" if given.emulator else given.way,
                form=given.format,
                has_emulator=given.emulator,
            ),
            plan=make_schedule(
                given.seed,
                seconds,
                fault_sources(
                    fault_schedule.AEP_FAULTS,
                    fault_schedule.CLOCK_FAULTS,
                    fault_schedule.SETTING_FAULTS,
                    has_letters=not given.emulator,
                ),
            ),
            events=round(given.rate * seconds),
            pace=Pace(given.rate),
            patience_seconds=given.patience,
            command=_command(given),
        ),
        json=given.json,
        records=given.record,
        shows_plan=given.plan,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m soak",
        description="Sends webhooks through the whole pipeline on this machine while AEP fails, "
        "functions are killed or frozen, Pub/Sub restarts and connections go silent, and compares "
        "what Pendo sent and was told with what AEP and the dead letters hold.",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=1.0,
        help="how long faults come; webhooks come as long, or longer where the machine is slow",
    )
    parser.add_argument(
        "--rate", type=float, default=1750.0, help="webhooks a second, half of them in bursts"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the faults and the webhooks")
    parser.add_argument(
        "--way",
        choices=["push", "drain"],
        default="push",
        help="how events leave Pub/Sub: pushed to deliver, or pulled by drain",
    )
    parser.add_argument("--format", choices=["raw", "xdm"], default="raw", help="what AEP is sent")
    parser.add_argument(
        "--emulator",
        action="store_true",
        help="Google's Pub/Sub emulator; it implies --way drain, for it stops pushing for minutes "
        "to what failed for a while",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=120.0,
        help="seconds in which no event gets any further, after which the run is given up",
    )
    parser.add_argument(
        "--json", type=Path, default=Path("build/soak.json"), help="where the result is written"
    )
    parser.add_argument(
        "--record",
        action="store_true",
        help="keep the result in soak/results.json and docs/reliability.md, if all is well",
    )
    parser.add_argument("--plan", action="store_true", help="print what would go wrong, and end")
    return parser


def _command(given: argparse.Namespace) -> str:
    """What makes the same run again: the length, and whatever is not as by default."""
    usual = vars(_parser().parse_args([]))
    changed = {
        name: value
        for name, value in vars(given).items()
        if name in {"rate", "seed", "way", "format"} and value != usual[name]
    }
    words = [
        f"--{name} {value:g}" if name == "rate" else f"--{name} {value}"
        for name, value in changed.items()
    ]
    return " ".join(
        ["python -m soak", f"--minutes {given.minutes:g}", *words, *["--emulator"] * given.emulator]
    )


# `python -m soak`: load and faults at random; exit 0 only if every promise was kept.


_MOST_SAID = 2000  # of what a function printed before it ended


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; answers its exit code."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    run = options.run
    console = Console(width=140, highlight=False, markup=False, soft_wrap=True)
    if options.shows_plan:
        for strike in run.plan:
            console.print(str(strike))
        return 0
    result, code = None, 1
    try:
        result = uvloop.run(run_soak(run, console.print, Reconciliation()))
    except* (EmulatorMissing, FunctionFailed) as failed:
        console.print(_said(failed)[-_MOST_SAID:])
    except* KeyboardInterrupt:
        code = 130
    if result is None:
        return code
    console.print(result_table(result), soft_wrap=False)
    row = {**asdict(result), "broken": result.broken}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_bytes(orjson.dumps(row, option=orjson.OPT_INDENT_2))
    if options.records and not result.broken:
        try:
            results.record_result(row)
        except MarkersMissing as error:
            console.print(str(error))
            return 1
    return 1 if result.broken else 0


def _said(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


if __name__ == "__main__":
    tune_gc()
    sys.exit(main())

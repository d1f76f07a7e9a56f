"""`python -m tests.soak`: load and random faults; exits 0 only if no event was lost or altered."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import orjson
import uvloop
from rich.console import Console

from benchmarks.tables import MarkersMissing
from local.emulator import EmulatorMissing
from local.functions import FunctionFailed
from pendo_aep import tune_gc
from tests.soak import results
from tests.soak.environment import Setup
from tests.soak.fault_schedule import fault_sources, make_schedule
from tests.soak.load_generator import Pace
from tests.soak.reconciliation import Reconciliation
from tests.soak.run import Run, run_soak

_MAX_OUTPUT = 2000  # characters of what a function printed before it ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = parser().parse_args(arguments)
    run = make_run(options)
    console = Console(width=140, highlight=False, markup=False, soft_wrap=True)
    if options.plan:
        for window in run.schedule:
            console.print(str(window))
        return 0
    result, code = None, 1
    try:
        result = uvloop.run(run_soak(run, console.print, Reconciliation()))
    except* (EmulatorMissing, FunctionFailed) as failed:
        console.print(_first_message(failed)[-_MAX_OUTPUT:])
    except* KeyboardInterrupt:
        code = 130
    if result is None:
        return code
    console.print(results.result_table(result), soft_wrap=False)
    row = {**asdict(result), "broken": result.broken}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_bytes(orjson.dumps(row, option=orjson.OPT_INDENT_2))
    if options.record and not result.broken:
        try:
            results.record_result(row)
        except MarkersMissing as error:
            console.print(str(error))
            return 1
    return 1 if result.broken else 0


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the options."""
    found = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description="Sends webhooks through the whole pipeline on this machine while AEP fails, "
        "functions are killed or frozen, Pub/Sub restarts and connections go silent, and compares "
        "what Pendo sent and was told with what AEP and the dead letters hold.",
    )
    found.add_argument(
        "--minutes",
        type=float,
        default=1.0,
        help="how long faults come; webhooks come as long, or longer if the machine is slow",
    )
    found.add_argument(
        "--rate", type=float, default=1750.0, help="webhooks a second, half of them in bursts"
    )
    found.add_argument("--seed", type=int, default=1, help="of the faults and the webhooks")
    found.add_argument(
        "--way",
        choices=["push", "drain"],
        default="push",
        help="how events leave Pub/Sub: pushed to deliver, or pulled by drain",
    )
    found.add_argument("--format", choices=["raw", "xdm"], default="raw", help="what AEP is sent")
    found.add_argument(
        "--emulator",
        action="store_true",
        help="use Google's Pub/Sub emulator; implies --way drain, because the emulator stops "
        "pushing for minutes to a function that failed for a while",
    )
    found.add_argument(
        "--patience",
        type=float,
        default=120.0,
        help="seconds without progress after which the run is given up",
    )
    found.add_argument(
        "--json", type=Path, default=Path("build/soak.json"), help="where to write the result"
    )
    found.add_argument(
        "--record",
        action="store_true",
        help="keep a good result in tests/soak/results.json and docs/reliability.md",
    )
    found.add_argument("--plan", action="store_true", help="print the fault schedule and exit")
    return found


def make_run(options: argparse.Namespace) -> Run:
    """Returns the run that the options describe."""
    seconds = options.minutes * 60
    return Run(
        setup=Setup(
            seed=options.seed,
            way="drain" if options.emulator else options.way,
            form=options.format,
            has_emulator=options.emulator,
        ),
        schedule=make_schedule(
            options.seed,
            seconds,
            fault_sources(has_dead_letter_faults=not options.emulator),
        ),
        events=round(options.rate * seconds),
        pace=Pace(options.rate),
        patience_seconds=options.patience,
        command=_command(options),
    )


def _command(options: argparse.Namespace) -> str:
    """Returns the command that repeats the run: its length, and what differs from the defaults."""
    defaults = vars(parser().parse_args([]))
    changed = {
        name: value
        for name, value in vars(options).items()
        if name in {"rate", "seed", "way", "format"} and value != defaults[name]
    }
    words = [
        f"--{name} {value:g}" if name == "rate" else f"--{name} {value}"
        for name, value in changed.items()
    ]
    words += ["--emulator"] * options.emulator
    return " ".join(["python -m tests.soak", f"--minutes {options.minutes:g}", *words])


def _first_message(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


if __name__ == "__main__":
    tune_gc()
    sys.exit(main())

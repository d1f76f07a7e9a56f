"""The options of `python -m soak`, and the run that they mean."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.soak import aep_faults
from tests.soak.plan import Pace, make_plan, streams
from tests.soak.rig import Setup
from tests.soak.run import Run


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
            plan=make_plan(
                given.seed,
                seconds,
                streams(
                    aep_faults.KINDS,
                    aep_faults.CLOCKS,
                    aep_faults.SETTINGS,
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

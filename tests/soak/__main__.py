"""`python -m soak`: load and faults at random; exit 0 only if every promise was kept."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict

import orjson
import uvloop
from rich.console import Console

from benchmarks.tables import NoMarks
from local.emulator import EmulatorMissing
from local.functions import FunctionFailed
from pendo_aep import tune_gc
from tests.soak import page
from tests.soak.ledger import Ledger
from tests.soak.options import parse
from tests.soak.report import table
from tests.soak.run import carry

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
        result = uvloop.run(carry(run, console.print, Ledger()))
    except* (EmulatorMissing, FunctionFailed) as failed:
        console.print(_said(failed)[-_MOST_SAID:])
    except* KeyboardInterrupt:
        code = 130
    if result is None:
        return code
    console.print(table(result), soft_wrap=False)
    row = {**asdict(result), "broken": result.broken}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_bytes(orjson.dumps(row, option=orjson.OPT_INDENT_2))
    if options.records and not result.broken:
        try:
            page.record(row)
        except NoMarks as error:
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

"""Fuzzes a target; prints inputs, coverage and findings, and exits 1 if there is a finding."""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.campaign import Figures, record_result, run
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Runs the command and returns its exit code."""
    options = _options()
    if find_spec("atheris") is None:
        print(f"SKIPPED fuzzing: atheris has no wheel for {sys.platform} {sys.version.split()[0]}")
        return 0
    targets = list(TARGETS) if options.target == "all" else [options.target]
    found_nothing = True
    print(f"{'date':12}{'target':12}{'seconds':>8}{'inputs':>14}{'coverage':>10}  finding")
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(options.jobs) as jobs:
        corpora = options.corpus or Path(temporary)
        fuzz = partial(run, seconds=options.seconds, corpora=corpora, findings=options.findings)
        for figures in jobs.map(fuzz, targets):
            found_nothing &= figures.finding is None
            _show(figures, keep=options.record)
    return 0 if found_nothing else 1


def _show(figures: Figures, *, keep: bool) -> None:
    row = {"date": str(datetime.now(UTC).date()), **asdict(figures)}
    output = row.pop("output")
    print(
        f"{row['date']:12}{figures.target:12}{figures.seconds:>8}{figures.inputs:>14,}"
        f"{figures.coverage:>10,}  {figures.finding or 'none'}",
        flush=True,
    )
    if figures.finding:
        print(output[-3000:], flush=True)
    if keep:
        record_result(row)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--jobs", type=int, default=1, help="targets to run in parallel (1)")
    parser.add_argument("--corpus", type=Path, help="where to keep interesting inputs")
    parser.add_argument(
        "--findings",
        type=Path,
        default=Path("build/fuzz"),
        help="where to put inputs that break a promise",
    )
    parser.add_argument("--record", action="store_true", help="write to tests/fuzz/results.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

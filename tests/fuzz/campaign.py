"""Runs the fuzzer on one target, and keeps the figures of the longest runs for the docs."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.fuzz.common import PROJECT
from tests.fuzz.targets import TARGETS

RESULTS: Final = Path(__file__).with_name("results.json")
# libFuzzer: "#1234 DONE cov: 12 ft: 34 corp: ...". Coverage is in branches of `pendo_aep`.
_FIGURES: Final = re.compile(r"^#(\d+)\s.*?\bcov: (\d+)", re.MULTILINE)
# Larger seeds are tried but not mutated: one of 500 kB takes as long as a thousand small ones.
_MAX_MUTATED_BYTES: Final = 20_000
_MAX_MEGABYTES: Final = 1024
# One input that takes longer is a hang, and a finding.
_SLOWEST_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a run; `finding` is the file with the input that broke a promise."""

    target: str
    seconds: int
    inputs: int
    coverage: int
    finding: str | None
    output: str


def run(target: str, *, seconds: int, corpora: Path, findings: Path) -> Figures:
    """Fuzzes one target.

    Args:
        target: its name.
        seconds: for how long.
        corpora: the directory of interesting inputs, with a folder for each target; seeds are
            added, and the run starts from what is there.
        findings: the directory for an input that breaks a promise.

    Raises:
        RuntimeError: The fuzzer failed without a finding.
    """
    corpus = corpora / target
    for directory in (corpus, findings):
        directory.mkdir(parents=True, exist_ok=True)
    before = set(findings.glob(f"{target}-*"))
    with tempfile.TemporaryDirectory() as large:
        for seed in TARGETS[target].seeds():
            folder = corpus if len(seed) <= _MAX_MUTATED_BYTES else Path(large)
            (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
        tried = len(list(Path(large).iterdir()))
        code, output = _fuzz(target, findings, Path(large), "-runs=0") if tried else (0, "")
    if not code:
        limits = (f"-max_total_time={seconds}", f"-max_len={_MAX_MUTATED_BYTES}")
        code, output = _fuzz(target, findings, corpus, *limits)
    found = sorted(set(findings.glob(f"{target}-*")) - before)
    if code and not found:
        raise RuntimeError(f"the fuzzer of {target} did not run:\n{output[-2000:]}")
    figures = [(int(inputs), int(coverage)) for inputs, coverage in _FIGURES.findall(output)]
    inputs, coverage = figures[-1] if figures else (0, 0)
    finding = str(found[0]) if found else None
    return Figures(target, seconds, tried + inputs, coverage, finding, output)


def _fuzz(target: str, findings: Path, corpus: Path, *limits: str) -> tuple[int, str]:
    """Runs the fuzzer on a corpus; returns its exit code and its output."""
    command = [sys.executable, "-m", "tests.fuzz.run_target", target, str(corpus.resolve())]
    command += [
        *limits,
        f"-rss_limit_mb={_MAX_MEGABYTES}",
        f"-timeout={_SLOWEST_SECONDS}",
        f"-artifact_prefix={findings.resolve()}/{target}-",
    ]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, check=False)
    return ended.returncode, (ended.stdout + ended.stderr).decode("utf-8", "replace")


def record_result(row: dict[str, Any], path: Path = RESULTS) -> None:
    """Replaces the figures of a target's last run."""
    rows = {old["target"]: old for old in read_results(path)} | {row["target"]: row}
    lines = ",\n".join(f"  {json.dumps(rows[target])}" for target in sorted(rows))
    path.write_text(f"[\n{lines}\n]\n", "utf-8")


def read_results(path: Path = RESULTS) -> list[dict[str, Any]]:
    """Returns the recorded figures, a row for each target."""
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return rows

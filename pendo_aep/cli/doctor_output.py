"""How `doctor` shows its findings: some lines each for people, a JSON object each for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Final

from pendo_aep.cli.output import printable
from pendo_aep.gcp.doctor.finding import Finding, Verdict

_SIGNS: Final = {Verdict.OK: "=", Verdict.WRONG: "!", Verdict.UNKNOWN: "?"}


def finding_as_text(finding: Finding) -> str:
    """A line, and one more with what mends it, whole, to be copied."""
    line = f"{_SIGNS[finding.verdict]} {finding.subject}: {printable(finding.text)}\n"
    return line + (f"    mend: {printable(finding.mend)}\n" if finding.mend else "")


def finding_as_json(finding: Finding) -> str:
    """The same as one line of JSON."""
    told = {
        "subject": finding.subject,
        "verdict": finding.verdict,
        "text": finding.text,
        "mend": finding.mend or None,
    }
    return json.dumps(told) + "\n"


def summary(findings: Iterable[Finding]) -> str:
    """How many there are of each verdict."""
    counts = Counter(finding.verdict for finding in findings)
    if not counts[Verdict.WRONG] and not counts[Verdict.UNKNOWN]:
        return f"all is well: {counts[Verdict.OK]} checks\n"
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict) + "\n"

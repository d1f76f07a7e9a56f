"""`doctor`: runs the checks with the options it was given, and shows what they found."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Final

import aiohttp

from pendo_aep.cli.config_file import read_environment
from pendo_aep.cli.doctor_aep import check_error_diagnostics
from pendo_aep.cli.terminal import (
    CommandFailed,
    ShowProgress,
    printable,
    printable_lines,
    progress,
    run_interruptibly,
)
from pendo_aep.gcp.config import InvalidConfig, read_values
from pendo_aep.gcp.doctor.delivery import Polling
from pendo_aep.gcp.doctor.deployment import read_deployment
from pendo_aep.gcp.doctor.finding import Finding, Verdict
from pendo_aep.gcp.doctor.observe import GcloudNotInstalled, GcloudObserver
from pendo_aep.gcp.doctor.run import Tools, check_process, run_checks
from pendo_aep.provisioning.client import RetryPolicy
from pendo_aep.settings import SettingsError

_NO_GCLOUD: Final = (
    "gcloud is not on the PATH; see https://cloud.google.com/sdk, "
    "or give --receive-url to check only receive"
)
# Of AEP, which is one check of many.
_TRIES: Final = RetryPolicy(attempts=2, timeout_seconds=10.0)
_SIGNS: Final = {Verdict.OK: "=", Verdict.WRONG: "!", Verdict.UNKNOWN: "?"}


def run(options: argparse.Namespace) -> int:
    """Runs the checks and returns the exit code: 0 only if all is well.

    Raises:
        KeyboardInterrupt: somebody stopped it, by Ctrl-C or SIGTERM; what was found is shown.
    """
    found: list[Finding] = []
    try:
        with progress(sys.stderr) as show:
            run_interruptibly(_check(options, show, found))
    except (SettingsError, InvalidConfig, CommandFailed) as error:
        sys.stderr.write(f"{options.prog}: {printable_lines(str(error))}\n")
        return 1
    finally:  # whatever ended it
        sys.stdout.writelines(map(_as_json if options.json else _as_text, found))
    if not options.json:
        sys.stdout.write(_summary(found))
    return 0 if found and all(finding.is_ok for finding in found) else 1


async def _check(options: argparse.Namespace, show: ShowProgress, found: list[Finding]) -> None:
    if not options.receive_url:
        show("looking at AEP")
        config = read_values(_config(options.config))
        if finding := await check_error_diagnostics(os.environ, config, _TRIES):
            found.append(finding)
    async with aiohttp.ClientSession() as http:
        async for finding in _findings(options, http, show):
            found.append(finding)  # noqa: PERF401 (an interrupt leaves what was found)


def _findings(
    options: argparse.Namespace, http: aiohttp.ClientSession, show: ShowProgress
) -> AsyncIterator[Finding]:
    if options.receive_url:
        settings = read_environment(None)
        return check_process(
            options.receive_url, settings, http, sends_event=not options.no_test_event
        )
    deployment = read_deployment(_config(options.config), options.project, options.region)
    try:
        observer = GcloudObserver(deployment.project)
    except GcloudNotInstalled:
        raise CommandFailed(_NO_GCLOUD) from None
    polling = None if options.no_test_event else Polling(options.wait)
    return run_checks(deployment, Tools(observer, http, polling, show))


def _config(path: Path) -> Path:
    if path.is_file():
        return path
    raise CommandFailed(
        f"there is no file {path}: give --config FILE, as deploy/deploy.sh was given, "
        "or --receive-url URL to check only receive"
    )


def _as_text(finding: Finding) -> str:
    """Returns a line, and one more with the whole command that fixes it."""
    line = f"{_SIGNS[finding.verdict]} {finding.subject}: {printable(finding.text)}\n"
    return line + (f"    mend: {printable(finding.mend)}\n" if finding.mend else "")


def _as_json(finding: Finding) -> str:
    """Returns the same as one line of JSON."""
    shown = {
        "subject": finding.subject,
        "verdict": finding.verdict,
        "text": finding.text,
        "mend": finding.mend or None,
    }
    return json.dumps(shown) + "\n"


def _summary(findings: Iterable[Finding]) -> str:
    counts = Counter(finding.verdict for finding in findings)
    if not counts[Verdict.WRONG] and not counts[Verdict.UNKNOWN]:
        return f"all is well: {counts[Verdict.OK]} checks\n"
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict) + "\n"

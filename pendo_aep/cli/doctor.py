"""`doctor`: what the command does with the options it was given."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import aiohttp

from pendo_aep.cli import doctor_output, output
from pendo_aep.cli.errors import CommandFailed
from pendo_aep.gcp.config import InvalidConfig
from pendo_aep.gcp.doctor.delivery import Polling
from pendo_aep.gcp.doctor.deployment import read_deployment
from pendo_aep.gcp.doctor.finding import Finding
from pendo_aep.gcp.doctor.observe import GcloudNotInstalled, GcloudObserver
from pendo_aep.gcp.doctor.run import Tools, check_process, run_checks
from pendo_aep.settings import SettingsError

_NO_GCLOUD: Final = (
    "gcloud is not on the PATH; see https://cloud.google.com/sdk, "
    "or give --receive-url to call receive alone"
)


def run(options: argparse.Namespace) -> int:
    """Does it, and answers the exit code: 0 only if all is well.

    Raises:
        KeyboardInterrupt: somebody stopped it, by Ctrl-C or SIGTERM; what was found has been told.
    """
    found: list[Finding] = []
    try:
        _find(options, found)
    except (SettingsError, InvalidConfig, CommandFailed) as error:
        sys.stderr.write(f"{options.prog}: {output.printable(str(error))}\n")
        return 1
    finally:  # whatever ended it
        show = doctor_output.finding_as_json if options.json else doctor_output.finding_as_text
        sys.stdout.writelines(map(show, found))
    if not options.json:
        sys.stdout.write(doctor_output.summary(found))
    return 0 if found and all(finding.is_ok for finding in found) else 1


def _find(options: argparse.Namespace, found: list[Finding]) -> None:
    async def session(say: Callable[[str], None]) -> None:
        task = asyncio.current_task()
        if task is not None:  # as Ctrl-C: what was found is told
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        async with aiohttp.ClientSession() as http:
            async for finding in _examination(options, http, say):
                found.append(finding)  # noqa: PERF401 (an interrupt leaves what was found)

    with output.progress(sys.stderr) as say:
        try:
            asyncio.run(session(say))
        except asyncio.CancelledError:  # SIGTERM
            raise KeyboardInterrupt from None


def _examination(
    options: argparse.Namespace, http: aiohttp.ClientSession, say: Callable[[str], None]
) -> AsyncIterator[Finding]:
    if options.receive_url:
        return check_process(
            options.receive_url, os.environ, http, sends_event=not options.no_test_event
        )
    deployment = read_deployment(_config(options.config), options.project, options.region)
    try:
        observer = GcloudObserver(deployment.project)
    except GcloudNotInstalled:
        raise CommandFailed(_NO_GCLOUD) from None
    polling = None if options.no_test_event else Polling(options.wait)
    return run_checks(deployment, Tools(observer, http, polling, say))


def _config(path: Path) -> Path:
    if path.is_file():
        return path
    raise CommandFailed(
        f"there is no file {path}: give --config FILE, as deploy/deploy.sh was given, "
        "or --receive-url URL to call receive alone"
    )

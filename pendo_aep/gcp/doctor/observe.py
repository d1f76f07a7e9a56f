"""Observes Google Cloud through gcloud, with the login and rights of whoever runs it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

from pendo_aep.gcp import gcloud
from pendo_aep.gcp.doctor.finding import Finding, Subject, unknown, wrong
from pendo_aep.gcp.gcloud import Command, typed_command

DAY: Final = 86_400.0
# A call takes about a second; gcloud itself retries for half a minute what fails on Google's side.
_TIMEOUT_SECONDS: Final = 60.0
_SERVICE: Final = re.compile(r"\b([a-z]+\.googleapis\.com)(?:/overview|\])|service: ([a-z.]+)")
_FORBIDDEN: Final = re.compile(r"PERMISSION_DENIED|status=\[403\]|does not have permission")
_LOGGED_OUT: Final = re.compile(
    r"do not currently have an active account|refreshing your current auth|Reauthentication"
    r"|UNAUTHENTICATED|status=\[401\]"
)
_MAX_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Found:
    """It exists, and this is what gcloud shows. Never in a `repr`: it may be a secret."""

    value: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class NotFound:
    """It does not exist."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """It could not be observed: why, and what would help."""

    why: str
    mend: str


Observation: TypeAlias = Found | NotFound | Unavailable
Observations: TypeAlias = Mapping[Command, Observation]


def not_observed(
    subject: Subject, what: str, observed: NotFound | Unavailable, mend: str
) -> Finding:
    """Returns what to report of something that was not found.

    Args:
        subject: the part of the deployment.
        what: its name.
        observed: what came instead.
        mend: the command that creates it, if it does not exist.
    """
    if isinstance(observed, NotFound):
        return wrong(subject, f"{what} is not there", mend)
    return unknown(subject, f"{what}: {observed.why}", observed.mend)


class GcloudNotInstalled(Exception):
    """gcloud is not on the PATH."""


class Observer(Protocol):
    """Observes one project."""

    async def observe(self, command: Command) -> Observation:
        """Returns what a command that changes nothing shows."""
        ...


class GcloudObserver:
    """Runs gcloud, with a bound on its time and on how many run at once."""

    def __init__(self, project: str, *, seconds: float = _TIMEOUT_SECONDS) -> None:
        """Takes the project, and how long one call may take.

        Raises:
            GcloudNotInstalled: it is not on the PATH.
        """
        program = shutil.which("gcloud")
        if program is None:
            raise GcloudNotInstalled
        self._program = program
        self._project = project
        self._seconds = seconds
        self._slots = asyncio.Semaphore(gcloud.MAX_PROCESSES)

    async def observe(self, command: Command) -> Observation:
        """Returns what gcloud shows in JSON, or why it shows nothing."""
        typed = typed_command(command, self._project)
        async with self._slots:
            try:
                async with asyncio.timeout(self._seconds):
                    code, out, err = await self._run(command)
            except TimeoutError:
                return Unavailable(f"gcloud did not answer within {self._seconds:.0f} s", typed)
        if code != 0:
            return parse_failure(err.decode("utf-8", "replace"), command, self._project)
        try:
            return Found(json.loads(out))
        except ValueError:
            return Unavailable("gcloud did not answer in JSON", typed)

    async def _run(self, command: Command) -> tuple[int | None, bytes, bytes]:
        process = await asyncio.create_subprocess_exec(
            self._program,
            *command,
            f"--project={self._project}",
            "--format=json",
            "--quiet",
            env=gcloud.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # gcloud is a script that starts another program
        )
        try:
            out, err = await process.communicate()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return process.returncode, out, err


async def observe_all(
    observer: Observer, commands: Iterable[Command]
) -> dict[Command, Observation]:
    """Returns what each of several commands shows; all run at the same time."""
    wanted = list(dict.fromkeys(commands))
    return dict(zip(wanted, await asyncio.gather(*map(observer.observe, wanted)), strict=True))


def parse_failure(stderr: str, command: Command, project: str) -> NotFound | Unavailable:
    """Returns why gcloud did not show what it was asked for."""
    if gcloud.API_DISABLED.search(stderr):  # first: it is also reported as a missing permission
        found = _SERVICE.search(stderr)
        service = (found[1] or found[2]) if found else ""
        return Unavailable(
            f"its API {service} is not enabled".replace("  ", " "),
            f"gcloud services enable {service or 'SERVICE.googleapis.com'} --project={project}",
        )
    if _FORBIDDEN.search(stderr):
        role = _role_to_read(command)
        return Unavailable(
            f"you may not look at it (or it is not there); {role} suffices",
            f"gcloud projects add-iam-policy-binding {project} --member=user:YOU "
            f"--role={role} --condition=None",
        )
    if gcloud.NOT_FOUND.search(stderr):
        return NotFound()
    if _LOGGED_OUT.search(stderr):
        return Unavailable("gcloud is not logged in", "gcloud auth login")
    return Unavailable(f"gcloud failed: {_first_line(stderr)}", typed_command(command, project))


def _role_to_read(command: Command) -> str:
    """Returns the least of Google's predefined roles that may run a command."""
    if "access" in command:
        return "roles/secretmanager.secretAccessor"
    if "get-iam-policy" in command:
        return "roles/iam.securityReviewer"
    return "roles/logging.viewer" if command[0] == "logging" else "roles/viewer"


def _first_line(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["no message"])[0].removeprefix("ERROR: ")[:_MAX_CHARACTERS]


def parse_duration(text: object) -> float:
    """Converts a duration as Google writes it, `604800s` or `0.5s`; 0 if there is none."""
    try:
        return float(str(text or "0s").removesuffix("s"))
    except ValueError:
        return 0.0


def format_duration(seconds: float) -> str:
    """Returns a duration for people."""
    if seconds >= DAY:
        return f"{seconds / DAY:g} days" if seconds != DAY else "1 day"
    return f"{seconds:g} s"


def duration_flag(seconds: float) -> str:
    """Returns a duration as the value of a gcloud flag."""
    return f"{seconds / DAY:g}d" if seconds % DAY == 0 else f"{seconds:g}s"

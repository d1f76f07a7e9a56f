"""What gcloud means when it fails: it has one exit code for all, and words that differ by API."""

from __future__ import annotations

import re
import shlex
from typing import Final

from pendo_aep.gcp.doctor.look import Absent, Command, Unseen

_DISABLED: Final = re.compile(
    r"SERVICE_DISABLED|has not been used in project|API \[\S+\] not enabled", re.IGNORECASE
)
_SERVICE: Final = re.compile(r"\b([a-z]+\.googleapis\.com)(?:/overview|\])|service: ([a-z.]+)")
_FORBIDDEN: Final = re.compile(r"PERMISSION_DENIED|status=\[403\]|does not have permission")
_MISSING: Final = re.compile(r"NOT_FOUND|status=\[404\]|instance \[\S+\] not found")
_LOGGED_OUT: Final = re.compile(
    r"do not currently have an active account|refreshing your current auth|Reauthentication"
    r"|UNAUTHENTICATED|status=\[401\]"
)
_LONGEST: Final = 200


def read_failure(stderr: str, command: Command, project: str) -> Absent | Unseen:
    """Why gcloud did not show what it was asked for.

    Args:
        stderr: what it said.
        command: what it was asked.
        project: where.
    """
    if _DISABLED.search(stderr):  # before the others: it is told as a missing permission
        found = _SERVICE.search(stderr)
        service = (found[1] or found[2]) if found else ""
        return Unseen(
            f"its API {service} is not enabled".replace("  ", " "),
            f"gcloud services enable {service or 'SERVICE.googleapis.com'} --project={project}",
        )
    if _FORBIDDEN.search(stderr):
        role = role_to_see(command)
        return Unseen(
            f"you may not look at it (or it is not there); {role} suffices",
            f"gcloud projects add-iam-policy-binding {project} --member=user:YOU "
            f"--role={role} --condition=None",
        )
    if _MISSING.search(stderr):
        return Absent()
    if _LOGGED_OUT.search(stderr):
        return Unseen("gcloud is not logged in", "gcloud auth login")
    return Unseen(f"gcloud failed: {_first_line(stderr)}", as_typed(command, project))


def role_to_see(command: Command) -> str:
    """The least role that may run a command, of those that Google has ready."""
    if "access" in command:
        return "roles/secretmanager.secretAccessor"
    if "get-iam-policy" in command:
        return "roles/iam.securityReviewer"
    return "roles/logging.viewer" if command[0] == "logging" else "roles/viewer"


def as_typed(command: Command, project: str) -> str:
    """The command as a person would type it."""
    return shlex.join(("gcloud", *command, f"--project={project}"))


def _first_line(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["without a word"])[0].removeprefix("ERROR: ")[:_LONGEST]

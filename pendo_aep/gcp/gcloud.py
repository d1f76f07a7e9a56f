"""gcloud, run as a person would run it: reports each change, and makes none twice.

Standard library only, like the whole deployment.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

T = TypeVar("T")

Command: TypeAlias = tuple[str, ...]
"""The arguments of gcloud, without the project and the format, which are always the same."""

# The group of gcloud commands for each kind of resource.
GROUPS: Final[dict[str, Command]] = {
    "accounts": ("iam", "service-accounts"),
    "topics": ("pubsub", "topics"),
    "subscriptions": ("pubsub", "subscriptions"),
    "secrets": ("secrets",),
    "functions": ("functions",),
    "services": ("run", "services"),
    "jobs": ("scheduler", "jobs"),
    "run_jobs": ("run", "jobs"),
    "repositories": ("artifacts", "repositories"),
    "metrics": ("logging", "metrics"),
    "dashboards": ("monitoring", "dashboards"),
    "policies": ("monitoring", "policies"),
    "channels": ("beta", "monitoring", "channels"),
}
MAX_PROCESSES: Final = 4
"""How many gclouds run at once. Each starts a Python of its own; more only wait for the CPU."""

# gcloud has one exit code for every failure, and words that differ by API.
NOT_FOUND: Final = re.compile(
    r"NOT_FOUND|status=\[404\]|HTTPError 404|instance \[\S+\] not found|Resource not found"
)
API_DISABLED: Final = re.compile(
    r"SERVICE_DISABLED|has not been used in project|API \[\S+\] not enabled", re.IGNORECASE
)
# gcloud exits with 2 for what it cannot parse; these are its words for an unknown command.
_UNKNOWN_COMMAND: Final = "Invalid choice"


def typed_command(command: Command, project: str) -> str:
    """Returns a command as a person would type it."""
    return shlex.join(("gcloud", *command, f"--project={project}"))


def environment() -> Mapping[str, str]:
    """Returns the variables to run gcloud with: it must not offer to enable an API."""
    return {**os.environ, "CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API": "false"}


def field_at(value: Any, *keys: str) -> Any:
    """Returns the value under nested keys of JSON; None if one of them is missing."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def run_parallel(act: Callable[[T], object], things: Iterable[T]) -> None:
    """Does something with several things at a time; all have ended before a failure is raised."""
    with ThreadPoolExecutor(MAX_PROCESSES) as pool:
        running = [pool.submit(act, thing) for thing in things]
    for one in running:
        one.result()


@dataclass(frozen=True, slots=True)
class Transient:
    """A refusal that passes by itself.

    Attributes:
        pattern: what Google says, as gcloud shows it.
        awaited: what has to happen first, as whoever runs the script is told.
    """

    pattern: re.Pattern[str]
    awaited: str


def _row(pattern: str, awaited: str) -> Transient:
    return Transient(re.compile(pattern, re.IGNORECASE), awaited)


# What Google refuses for a while after something was created or granted. Each text was seen in
# public deployment logs; the source is named where there is a better one.
TRANSIENT: Final = (
    # Google: Service Usage, error details of SERVICE_DISABLED; "wait a few minutes" in its text.
    Transient(API_DISABLED, "Google switches the new API on"),
    # gcloud says so of any 403 while it uploads, also of the one above.
    _row(r"forbidden from accessing the bucket", "Cloud Storage lets you upload the source"),
    # Google: IAM "service accounts overview", a new account can take 60 seconds or more.
    _row(r"Service account \S+ does not exist", "IAM knows the new service account"),
    # firebase-tools#10859; Cloud Run's own words end in "(or it may not exist)".
    _row(
        r"Service account \S+ was not found"
        r"|iam\.serviceAccounts\.actAs'? denied on service account",
        "IAM knows the new service account, and that you may act as it "
        "(roles/iam.serviceAccountUser)",
    ),
    # GoogleCloudPlatform/magic-modules#11324, after a grant that was seconds old.
    _row(r"Access to bucket gcf-\S+ denied", "the build's account may read the uploaded source"),
    # firebase-tools#5244: the service agent of Cloud Functions is new.
    _row(
        r"Unable to retrieve the repository metadata for \S+gcf-artifacts",
        "the service agent of Cloud Functions may read the repository of images",
    ),
    # Google: Cloud Run "secrets", all of them are checked at each deployment.
    _row(
        r"Permission denied on secret: \S+ for Revision service account",
        "the function's account may read its secret",
    ),
    # Google: Cloud Monitoring, "it could take up to 10 minutes to become available"; the second
    # text is the older one of the same refusal.
    _row(
        r"Cannot find metric\(s\) that match type"
        r"|metric referenced by the provided filter is unknown",
        "Cloud Monitoring knows the new metric",
    ),
    # Google: Cloud Monitoring, "manage alerting policies by API": one edit at a time. 409 or 503.
    _row(
        r"Too many concurrent edits to the project configuration",
        "another edit of the alerting policies ends",
    ),
    # deploymentmanager-samples#332: gcloud repeats it a few times by itself.
    _row(r"There were concurrent policy changes", "another change of the same permissions ends"),
)


def find_transient(stderr: str) -> Transient | None:
    """Returns the transient refusal that gcloud reports, or None if it reports another failure."""
    return next((one for one in TRANSIENT if one.pattern.search(stderr)), None)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to repeat a command that Google refuses for a while.

    Attributes:
        seconds: after these the refusal counts as final.
        pause: between two attempts.
        now: a clock, in seconds.
        sleep: waits.
    """

    seconds: float = 900.0
    pause: float = 5.0
    now: Callable[[], float] = field(default=time.monotonic)
    sleep: Callable[[float], None] = field(default=time.sleep)


class GcloudFailed(Exception):
    """A command failed; the text says which one, and what gcloud said."""


class CommandUnknown(GcloudFailed):
    """This version of gcloud does not have the command."""


class Gcloud:
    """Runs gcloud in one project.

    Attributes:
        changes: how many commands have changed something.
    """

    def __init__(
        self, project: str, say: Callable[[str], None], retry: RetryPolicy | None = None
    ) -> None:
        """Takes the project's id, what reports each change, and how long to wait for Google."""
        self._program = shutil.which("gcloud") or "gcloud"
        self._project = project
        self._say = say
        self._retry = retry or RetryPolicy()
        self.changes = 0

    def say(self, text: str) -> None:
        """Reports something to whoever runs the script."""
        self._say(text)

    def read(self, *words: str) -> Any:
        """Returns the JSON output of a command that changes nothing; None if it finds nothing.

        Raises:
            CommandUnknown: only another version of gcloud has this command.
            GcloudFailed: gcloud could not read it.
        """
        done = self._run((*words, "--format=json"))
        if done.returncode == 0:
            return json.loads(done.stdout or b"null")
        if done.returncode == 2 and _UNKNOWN_COMMAND in _stderr(done):
            raise CommandUnknown(self._failure(words, done))
        if _is_absent(done):
            return None
        raise GcloudFailed(self._failure(words, done))

    def read_text(self, *words: str) -> str:
        """Returns the output of a command that changes nothing.

        Raises:
            GcloudFailed: gcloud could not read it.
        """
        done = self._run(words)
        if done.returncode != 0:
            raise GcloudFailed(self._failure(words, done))
        return done.stdout.decode("utf-8").strip()

    def change(self, *words: str, stdin: bytes = b"") -> None:
        """Creates or changes something, and repeats what Google refuses only for a while.

        Args:
            words: the command, without anything secret: it is shown.
            stdin: what `--data-file=-` reads.

        Raises:
            GcloudFailed: it was refused.
        """
        self._say(f"+ {self.typed(words)}")
        done = self._run_until_settled(words, stdin)
        if done.returncode != 0:
            raise GcloudFailed(self._failure(words, done))
        self.changes += 1

    def delete(self, words: Command) -> None:
        """Deletes something.

        Raises:
            GcloudFailed: it still exists.
        """
        done = self._run_until_settled(words, absent_is_final=True)
        if done.returncode == 0:
            self._say(f"- {self.typed(words)}")
            self.changes += 1
        elif not _is_absent(done):  # otherwise somebody else has deleted it
            raise GcloudFailed(self._failure(words, done))

    def typed(self, words: Command) -> str:
        """Returns a command as a person would type it."""
        return typed_command(words, self._project)

    def _run_until_settled(
        self, words: Command, stdin: bytes = b"", *, absent_is_final: bool = False
    ) -> subprocess.CompletedProcess[bytes]:
        """Repeats a command until it succeeds, is refused for good, or has taken too long."""
        retry = self._retry
        give_up_at = retry.now() + retry.seconds
        reported = set()
        while (done := self._run(words, stdin)).returncode != 0:
            transient = find_transient(_stderr(done))
            if transient is None or retry.now() >= give_up_at:
                break
            if absent_is_final and _is_absent(done):
                break
            if transient.awaited not in reported:
                reported.add(transient.awaited)
                self._say(
                    f". waiting until {transient.awaited}, at most "
                    f"{retry.seconds / 60:.0f} minutes: {self.typed(words)}"
                )
            retry.sleep(retry.pause)
        return done

    def _run(self, words: Command, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(  # noqa: S603 (no shell; the words are ours and the config's)
            [self._program, *words, f"--project={self._project}", "--quiet"],
            input=stdin,
            capture_output=True,
            check=False,
            env=environment(),
        )

    def _failure(self, words: Command, done: subprocess.CompletedProcess[bytes]) -> str:
        return f"{self.typed(words)}\nfailed: {_stderr(done).strip()}"


def _stderr(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stderr.decode("utf-8", "replace")


def _is_absent(done: subprocess.CompletedProcess[bytes]) -> bool:
    """Returns whether it does not exist; where an API was never used, nothing of it does."""
    return any(pattern.search(_stderr(done)) for pattern in (NOT_FOUND, API_DISABLED))

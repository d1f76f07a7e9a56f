"""gcloud as a person would run it; each change is told, none is made twice."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from typing import Any, Final, TypeAlias

Words: TypeAlias = tuple[str, ...]

# What gcloud says of a thing that is not there: it has one exit code for all, and words that
# differ by API. Where an API has never been used, there is nothing of it either.
_ABSENT: Final = re.compile(
    r"NOT_FOUND|status=\[404\]|HTTPError 404|instance \[\S+\] not found|Resource not found"
    r"|SERVICE_DISABLED|has not been used in project"
)
# What Google refuses only until it has noticed what was made a moment ago.
# Google: IAM "service accounts overview", 60 seconds or more; Service Usage, some minutes; Cloud
# Monitoring "log-based metrics", up to ten minutes before an alert may name one.
_NOT_YET: Final = re.compile(
    r"Service account \S+ does not exist|SERVICE_DISABLED|has not been used in project"
    r"|Cannot find metric that matches type"
)
_PATIENCE_SECONDS: Final = 600.0
_PAUSE_SECONDS: Final = 5.0


class GcloudFailed(Exception):
    """A command failed; the text says which, and what gcloud said."""


class Gcloud:
    """The program, in one project.

    Attributes:
        changes: how many commands have changed something.
    """

    def __init__(self, project: str, say: Callable[[str], None]) -> None:
        """Takes the project's id, and who is told of each change."""
        self._program = shutil.which("gcloud") or "gcloud"
        self._project = project
        self._say = say
        self.changes = 0

    def say(self, text: str) -> None:
        """Tells whoever runs the script."""
        self._say(text)

    def look(self, *words: str) -> Any:
        """What a command that changes nothing says, in JSON; None if the thing is not there.

        Raises:
            GcloudFailed: gcloud could not look.
        """
        done = self._run((*words, "--format=json"))
        if done.returncode == 0:
            return json.loads(done.stdout or b"null")
        if _ABSENT.search(_text(done)):
            return None
        raise self._failed(words, done)

    def text(self, *words: str) -> str:
        """The same as text.

        Raises:
            GcloudFailed: gcloud could not look.
        """
        done = self._run(words)
        if done.returncode != 0:
            raise self._failed(words, done)
        return done.stdout.decode("utf-8").strip()

    def change(self, *words: str, stdin: bytes = b"") -> None:
        """Makes or changes something, as soon as Google has noticed what it depends on.

        Args:
            words: the command, without anything secret: it is shown.
            stdin: what `--data-file=-` reads.

        Raises:
            GcloudFailed: it was refused.
        """
        self._say(f"+ {self.typed(words)}")
        self.changes += 1
        given_up = time.monotonic() + _PATIENCE_SECONDS
        while (done := self._run(words, stdin)).returncode != 0:
            if not _NOT_YET.search(_text(done)) or time.monotonic() > given_up:
                raise self._failed(words, done)
            time.sleep(_PAUSE_SECONDS)

    def delete(self, words: Words) -> None:
        """Deletes something.

        Raises:
            GcloudFailed: it is still there.
        """
        done = self._run(words)
        if done.returncode == 0:
            self._say(f"- {self.typed(words)}")
            self.changes += 1
        elif not _ABSENT.search(_text(done)):  # somebody else was faster
            raise self._failed(words, done)

    def typed(self, words: Words) -> str:
        """A command as a person would type it."""
        return shlex.join(("gcloud", *words, f"--project={self._project}"))

    def _run(self, words: Words, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(  # noqa: S603 (no shell; the words are ours and the config's)
            [self._program, *words, f"--project={self._project}", "--quiet"],
            input=stdin,
            capture_output=True,
            check=False,
            # Enabling an API is a step of its own, not an answer to a question.
            env={**os.environ, "CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API": "false"},
        )

    def _failed(self, words: Words, done: subprocess.CompletedProcess[bytes]) -> GcloudFailed:
        return GcloudFailed(f"{self.typed(words)}\nfailed: {_text(done).strip()}")


def _text(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stderr.decode("utf-8", "replace")

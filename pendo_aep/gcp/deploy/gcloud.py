"""gcloud as a person would run it; each change is told, none is made twice."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from pendo_aep.gcp.deploy.transient import Patience, find

Words: TypeAlias = tuple[str, ...]

# What gcloud says of a thing that is not there: it has one exit code for all, and words that
# differ by API. Where an API has never been used, there is nothing of it either.
_ABSENT: Final = re.compile(
    r"NOT_FOUND|status=\[404\]|HTTPError 404|instance \[\S+\] not found|Resource not found"
    r"|SERVICE_DISABLED|has not been used in project"
)
# gcloud exits with 2 for what it cannot parse; these are its words for an unknown command.
_UNKNOWN: Final = "Invalid choice"


class GcloudFailed(Exception):
    """A command failed; the text says which, and what gcloud said."""


class CommandUnknown(GcloudFailed):
    """This version of gcloud does not have the command."""


class Gcloud:
    """The program, in one project.

    Attributes:
        changes: how many commands have changed something.
    """

    def __init__(
        self, project: str, say: Callable[[str], None], patience: Patience | None = None
    ) -> None:
        """Takes the project's id, who is told of each change, and how long to wait for Google."""
        self._program = shutil.which("gcloud") or "gcloud"
        self._project = project
        self._say = say
        self._patience = patience or Patience()
        self.changes = 0

    def say(self, text: str) -> None:
        """Tells whoever runs the script."""
        self._say(text)

    def look(self, *words: str) -> Any:
        """What a command that changes nothing says, in JSON; None if the thing is not there.

        Raises:
            CommandUnknown: another version of gcloud has this command.
            GcloudFailed: gcloud could not look.
        """
        done = self._run((*words, "--format=json"))
        if done.returncode == 0:
            return json.loads(done.stdout or b"null")
        if done.returncode == 2 and _UNKNOWN in _text(done):
            raise CommandUnknown(self._failure(words, done))
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
        """Makes or changes something; waits for what Google refuses for a while only.

        Args:
            words: the command, without anything secret: it is shown.
            stdin: what `--data-file=-` reads.

        Raises:
            GcloudFailed: it was refused.
        """
        self._say(f"+ {self.typed(words)}")
        done = self._run_patiently(words, stdin)
        if done.returncode != 0:
            raise self._failed(words, done)
        self.changes += 1

    def delete(self, words: Words) -> None:
        """Deletes something.

        Raises:
            GcloudFailed: it is still there.
        """
        done = self._run_patiently(words, ends=_ABSENT)
        if done.returncode == 0:
            self._say(f"- {self.typed(words)}")
            self.changes += 1
        elif not _ABSENT.search(_text(done)):  # somebody else was faster
            raise self._failed(words, done)

    def typed(self, words: Words) -> str:
        """A command as a person would type it."""
        return shlex.join(("gcloud", *words, f"--project={self._project}"))

    def _run_patiently(
        self, words: Words, stdin: bytes = b"", ends: re.Pattern[str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Repeats a command until it succeeds, is refused for good, or has taken too long.

        Args:
            words: the command.
            stdin: what it reads.
            ends: text of gcloud that is not waited for, whatever `transient` says.
        """
        patience = self._patience
        given_up = patience.now() + patience.seconds
        told = set()
        while (done := self._run(words, stdin)).returncode != 0:
            said = _text(done)
            transient = find(said)
            if transient is None or (ends and ends.search(said)) or patience.now() >= given_up:
                break
            if transient.awaited not in told:
                told.add(transient.awaited)
                self._say(
                    f". waiting until {transient.awaited}, at most "
                    f"{patience.seconds / 60:.0f} minutes: {self.typed(words)}"
                )
            patience.sleep(patience.pause)
        return done

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
        return GcloudFailed(self._failure(words, done))

    def _failure(self, words: Words, done: subprocess.CompletedProcess[bytes]) -> str:
        return f"{self.typed(words)}\nfailed: {_text(done).strip()}"


def _text(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stderr.decode("utf-8", "replace")

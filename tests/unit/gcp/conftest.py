"""What the tests of `pendo_aep.gcp` share: a fake gcloud."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import pytest

from pendo_aep.gcp.gcloud import Gcloud, RetryPolicy

PROJECT = "acme-demo"
_EVERY_COMMAND = (f"--project={PROJECT}", "--quiet", "--format=json")


@dataclass(frozen=True, slots=True)
class Rule:
    """What a command prints; the first rule that matches is used, and without one it succeeds.

    Attributes:
        words: a part of the command.
        out: its stdout.
        err: its stderr.
        code: its exit code; by default 1 if it has a stderr.
        times: how often the rule is used; None is always.
    """

    words: str
    out: str = ""
    err: str = ""
    code: int = -1
    times: int | None = None


@dataclass
class Clock:
    """A clock that only moves when somebody sleeps."""

    seconds: float = 0.0

    def now(self) -> float:
        """Returns the time."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Advances the time."""
        self.seconds += seconds


class FakeGcloud:
    """Answers as its rules say, in this process, in place of the program.

    Attributes:
        gcloud: runs it, and waits on a clock of its own.
        asked: the arguments of each command, without the project.
        said: what was reported to whoever runs the script.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.said: list[str] = []
        self.asked: list[list[str]] = []
        self.gcloud = Gcloud(PROJECT, self.said.append, self.retry())
        self._lock = Lock()  # some commands run in parallel
        self.answer()

    def retry(self, pause: float = 5.0) -> RetryPolicy:
        """Returns a policy on the clock that only moves when somebody sleeps."""
        return RetryPolicy(pause=pause, now=self.clock.now, sleep=self.clock.sleep)

    def answer(self, *rules: Rule) -> None:
        """Sets the rules."""
        self._left = [(rule, rule.times) for rule in rules]

    def run(self, command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        """Answers one command, in place of `subprocess.run`."""
        words = [word for word in command[1:] if word not in _EVERY_COMMAND]
        with self._lock:
            self.asked.append(words)
            for place, (rule, left) in enumerate(self._left):
                if rule.words in " ".join(words) and left != 0:
                    self._left[place] = (rule, left and left - 1)
                    code = int(bool(rule.err)) if rule.code < 0 else rule.code
                    out, err = rule.out.encode(), rule.err.encode()
                    return subprocess.CompletedProcess(command, code, out, err)
        return subprocess.CompletedProcess(command, 0, b"", b"")

    @property
    def changed(self) -> list[str]:
        """The commands that change something."""
        reading = {"list", "describe", "get-iam-policy"}
        return [" ".join(words) for words in self.asked if not reading & set(words)]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeGcloud:
    """The fake gcloud, which every command reaches."""
    gcloud = FakeGcloud()
    monkeypatch.setattr(subprocess, "run", gcloud.run)
    return gcloud

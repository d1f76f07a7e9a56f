"""A program `gcloud` that answers as it was told to, and notes what it was asked."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from pendo_aep.gcp.deploy.gcloud import Gcloud
from pendo_aep.gcp.deploy.transient import Patience

PROJECT = "acme-demo"

_PROGRAM = f"""#!{sys.executable} -ES
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
asked = [word for word in sys.argv[1:] if word not in ("--quiet", "--format=json")]
with (folder / "asked").open("a") as log:
    log.write(json.dumps([w for w in asked if not w.startswith("--project=")]) + "\\n")
rules = json.loads((folder / "rules").read_text())
for rule in rules:
    if rule["words"] in " ".join(asked) and rule["times"] != 0:
        if rule["times"]:
            rule["times"] -= 1
            (folder / "rules").write_text(json.dumps(rules))
        sys.stdout.write(rule["out"])
        sys.stderr.write(rule["err"])
        sys.exit(rule["code"])
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """What to answer; the first rule that fits is used, and a command without any succeeds.

    Attributes:
        words: a part of the command.
        out: what it prints.
        err: what it says when it fails.
        code: its exit code; 1 where it says something.
        times: how often; always if None. Several commands at a time must not be counted.
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
        """The time."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Moves it."""
        self.seconds += seconds


@dataclass
class FakeGcloud:
    """The program, what runs it, and what was told.

    Attributes:
        gcloud: what runs it; it waits on a clock of its own.
        said: the lines that were told to whoever runs the script.
    """

    folder: Path
    clock: Clock = field(default_factory=Clock)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        program = self.folder / "gcloud"
        program.write_text(_PROGRAM, "utf-8")
        program.chmod(0o755)
        (self.folder / "asked").touch()
        self.answer()
        patience = Patience(now=self.clock.now, sleep=self.clock.sleep)
        self.gcloud = Gcloud(PROJECT, self.said.append, patience)

    def answer(self, *rules: Rule) -> None:
        """Has it answer by these rules from now on."""
        told = [asdict(one) for one in rules]
        for one in told:
            one["code"] = int(bool(one["err"])) if one["code"] < 0 else one["code"]
        (self.folder / "rules").write_text(json.dumps(told), "utf-8")

    @property
    def asked(self) -> list[list[str]]:
        """The words of each command, without the project."""
        lines = (self.folder / "asked").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]

    @property
    def changed(self) -> list[str]:
        """The commands that looked at nothing."""
        looks = {"list", "describe", "get-iam-policy"}
        return [" ".join(words) for words in self.asked if not looks & set(words)]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGcloud:
    """The program, found on the PATH."""
    folder = tmp_path / "fake"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return FakeGcloud(folder)

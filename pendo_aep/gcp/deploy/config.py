"""`config.env`: read as a shell would, checked whole before anything is called."""

from __future__ import annotations

import shlex
import string
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pendo_aep.gcp.deploy.rules import ANY_REGION, problems

TEMPLATE = Path(__file__).resolve().parents[3] / "deploy" / "config.env"


class ConfigWrong(Exception):
    """Values are missing or wrong; the text names each of them, and shows no secret."""


@dataclass(frozen=True, slots=True)
class Config:
    """What is to be made.

    Attributes:
        path: the file.
        values: all names of `deploy/config.env`; empty where nothing is said.
        number: the project's, which Google's own accounts are named after; empty until it is known.
    """

    path: Path
    values: Mapping[str, str]
    number: str = field(default="")

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    @property
    def push(self) -> bool:
        """Whether `deliver` is pushed to."""
        return self["DEPLOY_PUSH"] == "true"

    @property
    def drain(self) -> bool:
        """Whether `drain` is called by a scheduler."""
        return self["DEPLOY_DRAIN"] == "true"

    @property
    def message_regions(self) -> list[str]:
        """The regions that Pub/Sub may keep messages in; none for any."""
        given = self["MESSAGE_REGIONS"] or self["REGION"]
        return [] if given == ANY_REGION else given.split(",")

    def address(self, account: str) -> str:
        """The e-mail address of the account that a name of the file stands for."""
        return f"{self[account]}@{self['PROJECT']}.iam.gserviceaccount.com"

    def member(self, account: str) -> str:
        """The same as policies name it."""
        return f"serviceAccount:{self.address(account)}"

    @property
    def pubsub_agent(self) -> str:
        """The account by which Pub/Sub itself acts, as policies name it."""
        return f"serviceAccount:service-{self.number}@gcp-sa-pubsub.iam.gserviceaccount.com"

    @property
    def functions_agent(self) -> str:
        """The account by which Cloud Functions itself acts, as policies name it."""
        return f"serviceAccount:service-{self.number}@gcf-admin-robot.iam.gserviceaccount.com"

    def in_project(self, number: str) -> Config:
        """The same, with the project's number."""
        return replace(self, number=number)


def read_config(path: Path) -> Config:
    """Reads a file; what it does not name stays as in `deploy/config.env`.

    Raises:
        ConfigWrong: with a line for each thing that is wrong.
    """
    known = _read(TEMPLATE)
    given = _read(path)
    wrong = [f"{name}: no such name; is it misspelt?" for name in given if name not in known]
    values = known | {name: value for name, value in given.items() if name in known}
    if wrong := [*wrong, *problems(values)]:
        raise ConfigWrong(f"{path}:\n" + "\n".join(f"  {line}" for line in wrong))
    return Config(path, values)


def _read(path: Path) -> dict[str, str]:
    """`NAME=value` lines, with quotes, comments and the names above."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigWrong(f"{path} cannot be read: {error}") from None
    values: dict[str, str] = {}
    wrong = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            wrong.append(f"  line {number}: {error}")
            continue
        for word in words:
            name, equals, value = word.partition("=")
            if not equals or not name.isidentifier() or len(words) > 1:
                wrong.append(f"  line {number}: is not one NAME=value; put quotes around spaces")
                break
            values[name] = string.Template(value).safe_substitute(values)
    if wrong:
        raise ConfigWrong(f"{path}:\n" + "\n".join(wrong))
    return values

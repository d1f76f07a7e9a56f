"""An environment to deploy into: Google's APIs on this machine, and the real gcloud."""

from __future__ import annotations

import asyncio
import copy
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp

from local.functions import PROJECT
from local.gcp import GoogleServer, GoogleState
from local.http_server import CallRecord
from tests.unit.gcp.gcloud_server import GcloudServer

ID = "acme-demo"
NUMBER = "123456789"
# A run takes a minute on a machine that does nothing else; this one may be busy.
_SECONDS = 900.0

# What a user fills in, with all that can be chosen.
FILLED: Mapping[str, str] = {
    "PROJECT": ID,
    "AEP_ENDPOINT": "https://dcs.adobedc.net/collection/0123abcd",
    "AEP_FLOW_ID": "flow-1",
    "AEP_CLIENT_ID": "client-1",
    "ALERT_EMAIL": "ops@example.com",
    "ALERT_NO_WEBHOOK_HOURS": "12",
    "DEPLOY_DRAIN": "true",
    "RECONCILE_SCHEDULE": "0 6 * * *",
    "RECONCILE_CLIENT_ID": "client-2",
    "AEP_IMS_ORG_ID": "0123@AdobeOrg",
    "AEP_SCOPES": "openid,AdobeID,session",  # a value with the separator of gcloud's flags
}
AEP_SECRET = "canary-aep-secret"
RECONCILE_SECRET = "canary-reconcile-secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRun:
    """One run of a script, and what existed at its end.

    Attributes:
        calls: the API calls that gcloud made.
        commands: the arguments of each gcloud that ran.
        state: a copy of the state of the stand-in.
        topics: those of the emulator, by short names.
        subscriptions: the same.
    """

    code: int
    out: str
    err: str
    calls: list[CallRecord]
    commands: list[list[str]]
    state: GoogleState
    topics: dict[str, Any]
    subscriptions: dict[str, Any]

    @property
    def changes(self) -> list[CallRecord]:
        """The calls that have changed something."""
        return [call for call in self.calls if call.changed]

    @property
    def changing(self) -> list[list[str]]:
        """The commands that the script reports as changes and deletions."""
        reported = [line[2:] for line in self.err.splitlines() if line.startswith(("+ ", "- "))]
        return [shlex.split(line)[1:-1] for line in reported]  # without `gcloud` and the project


class DeployEnv:
    """`async with DeployEnv(...) as env`: runs the scripts in a project of its own.

    Attributes:
        google: the APIs.
    """

    def __init__(self, google: GoogleServer, gcloud: str, folder: Path) -> None:
        """Takes the APIs, the real gcloud, and an empty folder."""
        self.google = google
        self._folder = folder
        ours = ("AEP_", "PENDO_", "CLOUDSDK_")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        environment = inherited | google.environment(folder)
        self._gcloud = GcloudServer(gcloud, environment)
        path = f"{self._gcloud.folder}{os.pathsep}{inherited['PATH']}"
        self.environment = environment | {"PATH": path}

    async def __aenter__(self) -> Self:
        await self._gcloud.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._gcloud.__aexit__()

    def config(self, **changes: str) -> Path:
        """Writes the config of the next runs."""
        return write_config(self._folder, **changes)

    async def run(
        self, script: str, *options: str, stdin: str = "", secrets: Mapping[str, str] | None = None
    ) -> ScriptRun:
        """Runs `deploy.sh` or `destroy.sh` on the config that was written last.

        Args:
            script: its name.
            options: after the config.
            stdin: what is typed.
            secrets: variables of the environment.
        """
        before, logged = len(self.google.calls), len(self._gcloud.commands)
        process = await asyncio.create_subprocess_exec(
            str(PROJECT / "deploy" / script),
            str(self._folder / "my.env"),
            *options,
            cwd=self._folder,
            env={**self.environment, **(secrets or {})},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(_SECONDS):
            out, err = await process.communicate(stdin.encode())
        assert process.returncode is not None
        calls = self.google.calls[before:]
        return ScriptRun(
            code=process.returncode,
            out=out.decode(),
            err=err.decode(),
            calls=calls,
            commands=self._gcloud.commands[logged:],
            state=copy.deepcopy(self.google.state),
            topics=await self._listed("topics"),
            subscriptions=await self._listed("subscriptions"),
        )

    async def _listed(self, kind: str) -> dict[str, Any]:
        """Returns what the emulator has, through the stand-in, which keeps some of it."""
        if "pubsub.googleapis.com" not in self.google.state.services:
            return {}
        url = f"{self.google.url}/pubsub/v1/projects/{ID}/{kind}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            found = (await answer.json()).get(kind, [])
        return {one["name"].rpartition("/")[2]: one for one in found}


def filled_in(values: Mapping[str, str]) -> str:
    """Returns the text of `deploy/config.env` with other values for some names."""
    left = dict(values)
    lines = []
    for line in (PROJECT / "deploy" / "config.env").read_text("utf-8").splitlines():
        name = line.partition("=")[0]
        lines.append(f"{name}={shlex.quote(left.pop(name))}" if name in left else line)
    return "\n".join([*lines, *(f"{name}={value}" for name, value in left.items())]) + "\n"


def write_config(folder: Path, **changes: str) -> Path:
    """Writes a filled-in copy of `deploy/config.env`, with some changes."""
    path = folder / "my.env"
    path.write_text(filled_in({**FILLED, **changes}), "utf-8")
    return path

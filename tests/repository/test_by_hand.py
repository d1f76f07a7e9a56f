"""`docs/deploy-by-hand.md`, followed in order in an empty project, with the real gcloud.

A stand-in answers for Google's APIs. It has no `gcloud run deploy`, so that section is left out;
`test_documents` checks that gcloud accepts its commands.
"""

from __future__ import annotations

import asyncio
import copy
import os
import re
import shlex
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from local.aep import AepServer
from local.functions import PROJECT
from local.gcp import GoogleState
from tests.repository.deployed import Cloud
from tests.repository.documents import blocks, for_installed
from tests.repository.terminal import Terminal
from tests.unit.gcp.deploy.deploy_env import AEP_SECRET, ID, filled_in
from tests.unit.gcp.deploy.deploy_lifecycle import member, run_job, table
from tests.unit.gcp.gcloud_server import GcloudServer

PAGE = (PROJECT / "docs" / "deploy-by-hand.md").read_text("utf-8")
SECTIONS = {
    text.partition("\n")[0]: blocks(text)
    for text in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
}
CONFIGURATION = "Configuration"
BY_PUSH = (
    "APIs",
    "Service accounts",
    "Topics",
    "Secret",
    "Rights",
    "receive",
    "deliver",
    "Metrics, dashboard and alerts",
)
CHECK, PENDO = "Check it", "Pendo"
DRAIN, TOKEN = "Drain instead of push", "An inlet that asks for a token"
RECONCILE = "Reconcile every day"
MORE = (DRAIN, TOKEN, RECONCILE)
LEFT_OUT = ("With gcloud run deploy", "Later")
TIMEOUT_SECONDS = 600.0


class Reader:
    """Follows the page in a terminal."""

    def __init__(self, terminal: Terminal, config: Path, gcloud: str) -> None:
        """Takes the terminal, the configuration file of the page, and gcloud."""
        self._terminal = terminal
        self._config = config
        self._gcloud = gcloud

    async def configure(self, values: dict[str, str]) -> None:
        """Copies the configuration file, fills it in, and loads it."""
        copied, loaded = SECTIONS[CONFIGURATION]
        await self.paste(copied)
        assert self._config.is_file()
        self._config.write_text(filled_in(values), "utf-8")
        await self.paste(loaded)

    async def follow(self, *sections: str) -> str:
        """Pastes the blocks of sections, one by one, and returns the output."""
        shown = [await self.paste(block) for name in sections for block in SECTIONS[name]]
        return "".join(shown)

    async def paste(self, block: str) -> str:
        """Pastes one block, none of whose commands may fail."""
        typed = for_installed(self._gcloud, block)
        return await asyncio.to_thread(self._terminal.paste, typed, seconds=TIMEOUT_SECONDS)


def test_no_section_is_overlooked() -> None:
    """The test below follows the whole page, in order."""
    assert [*SECTIONS] == [CONFIGURATION, *BY_PUSH, CHECK, PENDO, *MORE, *LEFT_OUT]
    assert all(SECTIONS[name] for name in SECTIONS if name != "Later")


@pytest.mark.emulator
@pytest.mark.slow
async def test_deploying_by_hand_equals_deploy_sh(
    clone: Path, home: Path, tmp_path: Path, emulator: str, gcloud: str
) -> None:
    """The test event reaches AEP, the doctor finds nothing, and deploy.sh changes nothing."""
    async with AsyncExitStack() as stack:
        aep = await stack.enter_async_context(AepServer())
        cloud = await stack.enter_async_context(Cloud(emulator))
        terminal = stack.enter_context(Terminal(clone, home))
        environment = cloud.google.environment(tmp_path)
        server = await stack.enter_async_context(GcloudServer(gcloud, os.environ | environment))
        tools = (f"{sys.prefix}/bin", str(server.folder), os.environ["PATH"])
        terminal.export({**environment, "PATH": os.pathsep.join(tools)})
        reader = Reader(terminal, clone / "my.env", gcloud)
        values = {
            "PROJECT": ID,
            "AEP_ENDPOINT": aep.endpoint,
            "AEP_FLOW_ID": "flow-1",
            "ALERT_EMAIL": "ops@example.com",
            "ALERT_NO_WEBHOOK_HOURS": "12",
        }
        await reader.configure(values)
        await reader.follow(*BY_PUSH)
        await cloud.run_deployed_functions()
        by_push = await reader.follow(CHECK)
        for_pendo = await reader.follow(PENDO)

        secret = tmp_path / "client-secret"
        secret.write_text(f"{AEP_SECRET}\n", "utf-8")
        values |= {"AEP_CLIENT_ID": "client-1", "AEP_CLIENT_SECRET_FILE": str(secret)}
        values |= {"RECONCILE_SCHEDULE": "0 6 * * *", "RECONCILE_CLIENT_ID": "client-2"}
        values |= {"RECONCILE_CLIENT_SECRET_FILE": str(secret), "AEP_IMS_ORG_ID": "0123@AdobeOrg"}
        await reader.configure(values | {"DEPLOY_DRAIN": "true"})
        await reader.follow(*MORE)
        with_drain = await reader.follow(CHECK)
        made = copy.deepcopy(cloud.google.state)
        deployed = await reader.paste("deploy/deploy.sh my.env")

    for output in (by_push, with_drain):
        assert "AEP has accepted the test event" in output
        assert "all is well" in output
    assert cloud.addresses["receive"] in for_pendo
    assert made.secrets["pendo-webhook-secrets"].versions[-1].decode() in for_pendo

    changes = [shlex.split(line[2:])[:4] for line in deployed.splitlines() if line[:2] == "+ "]
    built, *others = sorted(changes)
    assert built[:3] == ["gcloud", "builds", "submit"]  # its tag is the hash of its source
    assert others == [
        *(["gcloud", "functions", "deploy", name] for name in ("deliver", "drain", "receive")),
        ["gcloud", "run", "jobs", "deploy"],
    ]
    jobs = [run_job(state.run_jobs["pendo-reconcile"]) for state in (cloud.google.state, made)]
    assert jobs[0] == jobs[1]
    assert functions(cloud.google.state) == functions(made)
    assert made.rights == {(r["thing"], r["role"], member(r)) for r in table("rights")}
    assert len(made.alert_policies) == len([*(PROJECT / "deploy/monitoring/alerts").iterdir()])
    assert (len(made.dashboards), len(made.channels)) == (1, 1)


def functions(state: GoogleState) -> dict[str, Any]:
    """Returns how each function is configured, without its source and deploy.sh's own label.

    Nor with the organisation, which no function needs here: only the job does.
    """
    found = {}
    for name, one in state.functions.items():
        body = copy.deepcopy(one.body)
        body["serviceConfig"]["environmentVariables"].pop("AEP_IMS_ORG_ID", None)
        body["buildConfig"]["source"] = body["labels"] = None
        found[name] = body
    return found

"""The README's commands, pasted in their order by somebody who has just cloned the project.

Adobe and Google are their stand-ins, everything else is as it would be: an empty home, packages
from where they come from, the real gcloud. What is deployed is run here, for it to be looked at.
The gcloud commands by hand are a part of `docs/deploy-by-hand.md`, which has a test of its own.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from local.functions import PROJECT
from local.samples import load_samples
from tests.repository.deployed import Cloud
from tests.repository.files import blocks
from tests.repository.terminal import Terminal
from tests.unit.gcp.deploy.deploy_env import ID, filled_in
from tests.unit.provisioning.desk import new_desk

SAMPLES = len(load_samples())
README = (PROJECT / "README.md").read_text("utf-8")
RUN, TEST, INSTALL, STAND_INS, RECEIVE, DELIVER, SEND, AEP, DEPLOY, BY_HAND = blocks(README)
# With an install in it, on a machine that does other things, too.
PATIENCE_SECONDS = 600.0
# What is on this machine already only has to start.
SHORT_SECONDS = 60.0
_PORT = re.compile(r"(?:127\.0\.0\.1:|--port=)(\d+)")


@pytest.mark.emulator
@pytest.mark.slow
async def test_its_commands_keep_what_it_promises(
    clone: Path, home: Path, tmp_path: Path, emulator: str
) -> None:
    """A pipeline here, a dataflow in AEP, and a deployment whose test event comes to AEP."""
    async with AsyncExitStack() as stack:
        adobe = await stack.enter_async_context(new_desk())
        cloud = await stack.enter_async_context(Cloud(emulator))
        terminal = stack.enter_context(Terminal(clone, home))

        async def paste(block: str, until: str | None = None) -> str:
            return await asyncio.to_thread(
                terminal.paste, block, seconds=PATIENCE_SECONDS, until=until
            )

        assert f"{SAMPLES} of {SAMPLES} samples" in await paste(
            RUN, until="What the functions log follows"
        )

        await paste(INSTALL)
        environ = adobe.environ
        terminal.export({name: environ[name] for name in ("AEP_PLATFORM_URL", "AEP_IMS_URL")})
        shown = await paste(without_dots(AEP, environ))
        found = dict(re.findall(r"^(AEP_\w+)=(\S+)$", shown, re.MULTILINE))

        terminal.export(cloud.google.environment(tmp_path))
        copy, deploy, doctor = DEPLOY.splitlines()
        await paste(copy)
        config = clone / "my.env"
        assert config.is_file()
        config.write_text(filled_in({"PROJECT": ID, **found}), "utf-8")
        assert cloud.addresses["receive"] in await paste(deploy)
        await cloud.run_what_was_deployed()
        said = await paste(doctor)
    assert "AEP has accepted the test event" in said
    assert "all is well" in said


@pytest.mark.slow
def test_its_local_commands_bring_a_webhook_to_aep(clone: Path, home: Path) -> None:
    """The webhook of the README's curl reaches the AEP stand-in through both functions.

    The packages are those of the test run: what INSTALL does is part of the test above.
    """
    for port in sorted({int(port) for port in _PORT.findall(STAND_INS + RECEIVE + DELIVER)}):
        if not is_free(port):
            pytest.skip(f"port {port}, which the README names, is taken on this machine")
    (clone / ".venv").symlink_to(sys.prefix)
    with ExitStack() as stack:
        stand_ins, receive, deliver, own = (
            stack.enter_context(Terminal(clone, home)) for _ in range(4)
        )
        stack.enter_context(stand_ins.running(STAND_INS))
        shown = stand_ins.wait_for("Ctrl-C ends everything", seconds=SHORT_SECONDS)
        stack.enter_context(receive.running(RECEIVE))
        stack.enter_context(deliver.running(DELIVER))
        answer = own.paste(SEND, seconds=SHORT_SECONDS)
        said = deliver.wait_for('"message delivered".*}', seconds=SHORT_SECONDS)
        event = console_event(shown, id_of(answer))

    sample = json.loads((PROJECT / "sample_events" / "nps_submitted_comment.json").read_bytes())
    assert id_of(answer) == sample["uniqueId"]
    assert f'"eventId":"{sample["uniqueId"]}"' in said
    assert event["status"] == "accepted"
    assert sample["visitorId"] in event["sent"]


def test_its_gcloud_commands_are_those_of_the_page() -> None:
    """Both stand in `docs/deploy-by-hand.md`, whose commands are tested, word for word."""
    page = blocks((PROJECT / "docs" / "deploy-by-hand.md").read_text("utf-8"))
    commands = re.split(r"^(?=gcloud )", BY_HAND, flags=re.MULTILINE)[1:]

    assert [command.split()[3] for command in commands] == ["receive", "deliver"]
    assert set(commands) <= set(page)


def test_its_tests_are_those_of_ci() -> None:
    """What the README calls the tests is what a change must pass."""
    assert f"\n{TEST.strip()} " in (PROJECT / ".ci" / "run").read_text("utf-8")


def without_dots(block: str, values: Mapping[str, str]) -> str:
    """The block with what its reader puts for `...`, and without the wait for a slow Adobe."""
    for name, value in values.items():
        block = re.sub(rf"\b{name}=\.\.\.\S*", f"{name}={value}", block)
    assert "=..." not in block
    waits = "aep apply "
    assert block.count(waits) == 1
    return block.replace(waits, f"{waits}--no-wait ")


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def id_of(answer: str) -> str:
    """The event's id in what `receive` has answered."""
    (found,) = re.findall(r'\{"status":"accepted","id":"(\w+)"\}', answer)
    return str(found)


def console_event(shown: str, key: str) -> dict[str, Any]:
    """What the console knows of an event, at the address that `python -m local` has shown."""
    (port,) = re.findall(r"^console +http://127\.0\.0\.1:(\d+)/", shown, re.MULTILINE)
    connection = HTTPConnection("127.0.0.1", int(port), timeout=10)
    connection.request("GET", f"/api/event?key={key}")
    event: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return event

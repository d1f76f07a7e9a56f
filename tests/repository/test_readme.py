"""The README's commands, followed in order in a fresh clone.

Stand-ins answer for Adobe and Google. All else is real: an empty home, packages from their
registry, gcloud. Deployed functions run here. The gcloud commands by hand are a part of
`docs/deploy-by-hand.md`, which `test_by_hand` follows.
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
from tests.repository.documents import blocks
from tests.repository.terminal import Terminal
from tests.unit.gcp.deploy.deploy_env import ID, filled_in
from tests.unit.provisioning.harness import new_harness

SAMPLES = len(load_samples())
README = (PROJECT / "README.md").read_text("utf-8")
RUN, TEST, INSTALL, STAND_INS, RECEIVE, DELIVER, SEND, AEP, DEPLOY, BY_HAND = blocks(README)
# With an installation, on a busy machine.
TIMEOUT_SECONDS = 600.0
# Without an installation.
SHORT_SECONDS = 60.0
_PORT = re.compile(r"(?:127\.0\.0\.1:|--port=)(\d+)")


@pytest.mark.emulator
@pytest.mark.slow
async def test_commands_bring_a_test_event_to_aep(
    clone: Path, home: Path, tmp_path: Path, emulator: str
) -> None:
    """They run a local pipeline, create a dataflow, and deploy; the test event reaches AEP."""
    async with AsyncExitStack() as stack:
        adobe = await stack.enter_async_context(new_harness())
        cloud = await stack.enter_async_context(Cloud(emulator))
        terminal = stack.enter_context(Terminal(clone, home))

        async def paste(block: str, until: str | None = None) -> str:
            return await asyncio.to_thread(
                terminal.paste, block, seconds=TIMEOUT_SECONDS, until=until
            )

        assert f"{SAMPLES} of {SAMPLES} samples" in await paste(
            RUN, until="Log lines of the functions follow"
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
        await cloud.run_deployed_functions()
        output = await paste(doctor)
    assert "AEP has accepted the test event" in output
    assert "all is well" in output


@pytest.mark.slow
def test_local_commands_bring_a_webhook_to_aep(clone: Path, home: Path) -> None:
    """The webhook of the README's curl reaches the AEP stand-in through both functions.

    The packages are those of the test run; the test above runs INSTALL.
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
        output = deliver.wait_for('"message delivered".*}', seconds=SHORT_SECONDS)
        event = console_event(shown, id_of(answer))

    sample = json.loads((PROJECT / "sample_events" / "nps_submitted_comment.json").read_bytes())
    assert id_of(answer) == sample["uniqueId"]
    assert f'"eventId":"{sample["uniqueId"]}"' in output
    assert event["status"] == "accepted"
    assert sample["visitorId"] in event["sent"]


def test_gcloud_commands_are_those_of_deploy_by_hand() -> None:
    """Both are in `docs/deploy-by-hand.md`, whose commands are tested, word for word."""
    page = blocks((PROJECT / "docs" / "deploy-by-hand.md").read_text("utf-8"))
    commands = re.split(r"^(?=gcloud )", BY_HAND, flags=re.MULTILINE)[1:]

    assert [command.split()[3] for command in commands] == ["receive", "deliver"]
    assert set(commands) <= set(page)


def test_the_test_command_is_that_of_ci() -> None:
    """The README's command for the tests is one of `.ci/run`."""
    assert f"\n{TEST.strip()} " in (PROJECT / ".ci" / "run").read_text("utf-8")


def without_dots(block: str, values: Mapping[str, str]) -> str:
    """Returns the block with values in place of `...`, and without the wait for Adobe."""
    for name, value in values.items():
        block = re.sub(rf"\b{name}=\.\.\.\S*", f"{name}={value}", block)
    assert "=..." not in block
    waits = "aep apply "
    assert block.count(waits) == 1
    return block.replace(waits, f"{waits}--no-wait ")


def is_free(port: int) -> bool:
    """Returns whether a port of this machine is free."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def id_of(answer: str) -> str:
    """Returns the event's ID in the answer of `receive`."""
    (found,) = re.findall(r'\{"status":"accepted","id":"(\w+)"\}', answer)
    return str(found)


def console_event(shown: str, key: str) -> dict[str, Any]:
    """Returns what the console shows of an event, at the address that `python -m local` prints."""
    (port,) = re.findall(r"^console +http://127\.0\.0\.1:(\d+)/", shown, re.MULTILINE)
    connection = HTTPConnection("127.0.0.1", int(port), timeout=10)
    connection.request("GET", f"/api/event?key={key}")
    event: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return event

"""The README's commands, pasted in their order by somebody who has just cloned the project.

Adobe and Google are their stand-ins, everything else is as it would be: an empty home, packages
from where they come from, the real gcloud. What is deployed is run here, for it to be looked at.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from local.functions import PROJECT, Function, Line
from local.google import GoogleServer
from local.process import free_port
from tests.deploy.site import ID, filled_in
from tests.house.files import files
from tests.house.terminal import Terminal
from tests.platform.desk import new_desk

README = (PROJECT / "README.md").read_text("utf-8")
RUN, TEST, AEP, DEPLOY = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
# With an install in it, on a machine that does other things, too.
PATIENCE_SECONDS = 600.0


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The project as it stands here, freshly cloned."""
    folder = tmp_path / "pendo-to-aep"
    for file in files():
        target = folder / file.relative_to(PROJECT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return folder


@pytest.mark.emulator
@pytest.mark.slow
async def test_its_commands_keep_what_it_promises(
    clone: Path, tmp_path: Path, emulator: str
) -> None:
    """A pipeline here, a dataflow in AEP, and a deployment whose test event comes to AEP."""
    home = tmp_path / "home"
    home.mkdir()
    ports = {name: free_port() for name in ("receive", "deliver")}
    addresses = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    async with AsyncExitStack() as stack:
        adobe = await stack.enter_async_context(new_desk())
        google = await stack.enter_async_context(
            GoogleServer(emulator, project=ID, addresses=addresses)
        )
        terminal = stack.enter_context(Terminal(clone, home))

        async def paste(block: str, until: str | None = None) -> str:
            return await asyncio.to_thread(
                terminal.paste, block, seconds=PATIENCE_SECONDS, until=until
            )

        assert "15 of 15 samples" in await paste(RUN, until="What the functions log follows")

        environ = adobe.environ
        terminal.export({name: environ[name] for name in ("AEP_PLATFORM_URL", "AEP_IMS_URL")})
        shown = await paste(without_dots(AEP, environ))
        found = dict(re.findall(r"^(AEP_\w+)=(\S+)$", shown, re.MULTILINE))

        terminal.export(google.environment(tmp_path))
        copy, deploy, doctor = DEPLOY.splitlines()
        await paste(copy)
        config = clone / "my.env"
        assert config.is_file()
        config.write_text(filled_in({"PROJECT": ID, **found}), "utf-8")
        assert addresses["receive"] in await paste(deploy)
        await run_what_was_deployed(stack, google, emulator, ports)
        said = await paste(doctor)
    assert "AEP has taken the test event" in said
    assert "all is well" in said


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


async def run_what_was_deployed(
    stack: AsyncExitStack, google: GoogleServer, emulator: str, ports: Mapping[str, int]
) -> None:
    """As Google does: each function with its settings and secrets, its lines into the log."""

    def log(_: str, line: Line) -> None:
        google.state.log.append(line)

    for name, port in ports.items():
        service = google.state.functions[name].body["serviceConfig"]
        settings = dict(service["environmentVariables"])
        for volume in service.get("secretVolumes", []):
            (item,) = volume["versions"]
            mounted = f"{volume['mountPath']}/{item['path']}"
            (setting,) = (key for key, value in settings.items() if value == mounted)
            secret = google.state.secrets[volume["secret"]].versions[-1].data.decode()
            settings[setting.removesuffix("_FILE")] = secret
            del settings[setting]
        settings["PUBSUB_EMULATOR_HOST"] = emulator
        await stack.enter_async_context(Function(name, settings, port=port, on_line=log))

"""The stand-in of Google's APIs, and the functions that gcloud deploys to it, on this machine."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Final, Self

from local.functions import Function, Line, free_port
from local.gcp import GoogleServer
from tests.unit.gcp.deploy.deploy_env import ID

_RUN: Final = ("receive", "deliver")


class Cloud:
    """`async with Cloud(emulator) as cloud`: an empty project.

    Attributes:
        google: The APIs.
        addresses: Where `receive` and `deliver` answer once they are deployed and running.
    """

    def __init__(self, emulator: str) -> None:
        """Takes the host of Google's Pub/Sub emulator."""
        self._emulator = emulator
        self._ports = {name: free_port() for name in _RUN}
        self.addresses = {name: f"http://127.0.0.1:{port}" for name, port in self._ports.items()}
        self.google = GoogleServer(emulator, project=ID, addresses=self.addresses)
        self._running = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._running.enter_async_context(self.google)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._running.aclose()

    async def run_deployed_functions(self) -> None:
        """Runs each function with its settings and secrets, and collects its log lines."""
        for name, port in self._ports.items():
            function = Function(name, self._settings(name), port=port, on_line=self._log)
            await self._running.enter_async_context(function)

    def _settings(self, name: str) -> dict[str, str]:
        """Returns the settings of a deployed function; a mounted secret becomes a variable."""
        state = self.google.state
        service = state.functions[name].body["serviceConfig"]
        settings = dict(service["environmentVariables"])
        for volume in service.get("secretVolumes", []):
            (item,) = volume["versions"]
            mounted = f"{volume['mountPath']}/{item['path']}"
            (setting,) = (key for key, value in settings.items() if value == mounted)
            secret = state.secrets[volume["secret"]].versions[-1].decode()
            settings[setting.removesuffix("_FILE")] = secret
            del settings[setting]
        return {**settings, "PUBSUB_EMULATOR_HOST": self._emulator}

    def _log(self, _: str, line: Line) -> None:
        self.google.state.log.append(line)

"""What gcloud has deployed to the stand-in of Google's APIs, run on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack

from local.functions import Function, Line
from local.google import GoogleServer


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

"""Google's Pub/Sub emulator, if gcloud has installed it and Java is available."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Self

import grpc.aio

from local.functions import end_group, free_port

_START_SECONDS = 60.0


class EmulatorMissing(Exception):
    """The emulator cannot run here; the text says what is missing and how to install it."""


def find_jar() -> Path:
    """Returns the emulator's jar in this machine's Google Cloud SDK.

    Raises:
        EmulatorMissing: gcloud, its component or Java is missing.
    """
    if shutil.which("java") is None:
        raise EmulatorMissing("java is not on the PATH; install a Java 11 runtime or newer")
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        raise EmulatorMissing("gcloud is not on the PATH; see https://cloud.google.com/sdk")
    # A package installs a link into the SDK, or a script beside it.
    roots = (Path(gcloud).resolve().parents[1], Path("/usr/lib/google-cloud-sdk"))
    for root in roots:
        for jar in root.glob("platform/pubsub-emulator/lib/*pubsub-emulator*.jar"):
            return jar
    raise EmulatorMissing("run `gcloud components install pubsub-emulator`")


class Emulator:
    """The emulator in a process: `async with Emulator() as e` serves gRPC at `e.host`."""

    def __init__(self) -> None:
        self.host = ""

    async def __aenter__(self) -> Self:
        jar = find_jar()
        port = free_port()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed in __aexit__)
        self._process = await asyncio.create_subprocess_exec(
            "java",
            "-jar",
            str(jar),
            "--host=127.0.0.1",
            f"--port={port}",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            async with (
                asyncio.timeout(_START_SECONDS),
                grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
            ):
                await channel.channel_ready()
        except BaseException:
            await self._end()
            raise
        self.host = f"127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def _end(self) -> None:
        await end_group(self._process)
        self._log.close()

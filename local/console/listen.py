"""Listening on 127.0.0.1, and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

# An open page would be followed for ever.
_SHUTDOWN_SECONDS: Final = 0.5


class PortTaken(Exception):
    """Somebody else listens there; the text says what to do."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"port {port} of 127.0.0.1 is taken: end what listens there, or choose another "
            "(python -m local --help has an option for each)"
        )


@asynccontextmanager
async def listening(app: web.Application, port: int, *, or_any: bool) -> AsyncIterator[int]:
    """Serves an application; answers the port.

    Args:
        app: the application.
        port: the wanted one; 0 for a free one.
        or_any: whether another will do if that one is taken.

    Raises:
        PortTaken: it is, and another will not do.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError:
            if not or_any:
                raise PortTaken(port) from None
            await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await asyncio.shield(runner.cleanup())

"""The inlets on the streaming edge that connections and flows bring about."""

from __future__ import annotations

from typing import Protocol
from uuid import uuid4

from local.aep import AepServer, MessageFormat
from local.aep_platform.state import PlatformState


class Sink(Protocol):
    """Takes what an inlet has accepted."""

    def __call__(
        self, state: PlatformState, inlet: str, flow_id: str | None, message: object
    ) -> None:
        """Take one message."""
        ...


class Inlets:
    """Opens and closes inlets on an `AepServer`."""

    def __init__(self, aep: AepServer, sink: Sink) -> None:
        self._aep = aep
        self._sink = sink

    def open(self, state: PlatformState, *, needs_token: bool, is_raw: bool) -> str:
        """A new inlet's id; what it takes goes to the sink."""
        inlet = uuid4().hex * 2

        def take(flow_id: str | None, message: object) -> None:
            self._sink(state, inlet, flow_id, message)

        self._aep.open_inlet(
            inlet,
            take=take,
            expects=MessageFormat.RAW if is_raw else MessageFormat.XDM,
            needs_token=needs_token,
        )
        return inlet

    def close(self, inlet: str) -> None:
        """From now on it is unknown."""
        self._aep.close_inlet(inlet)

    def url(self, inlet: str) -> str:
        """The streaming endpoint, as Flow Service shows it."""
        return f"{self._aep.url}/collection/{inlet}"

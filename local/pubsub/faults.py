"""What goes wrong, on demand."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import grpc

from local.pubsub.errors import InvalidArgumentError
from local.pubsub.messages import Draft

Refusal: TypeAlias = Callable[[bytes, Mapping[str, str]], bool]
"""Says of a message's data and attributes whether Publish refuses it."""


class InjectedError(Exception):
    """The call fails with this status because somebody asked for it."""

    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__(f"injected {code.name}")
        self.code = code


@dataclass(slots=True)
class _Fault:
    """What befalls the next `times` calls (None: all), before or after they took effect."""

    times: int | None
    after: bool
    seconds: float | None = None
    code: grpc.StatusCode | None = None

    async def strike(self) -> None:
        if self.code is not None:
            raise InjectedError(self.code)
        if self.seconds is None:
            await asyncio.get_running_loop().create_future()  # until the caller gives up
        else:
            await asyncio.sleep(self.seconds)


class Faults:
    """Faults to come, by RPC ("Publish", "Pull", ...); each RPC's are used up in order.

    With `after` a call takes effect first: the message is stored, and the client cannot know.
    `times=None` means until `clear`.
    """

    def __init__(self) -> None:
        self._closed: dict[str, grpc.StatusCode] = {}
        self._pending: dict[str, deque[_Fault]] = {}
        self._refusals: list[tuple[Refusal, str]] = []

    def fail(
        self, rpc: str, code: grpc.StatusCode, *, times: int | None = 1, after: bool = False
    ) -> None:
        """Fail the next calls with a status."""
        self._add(rpc, _Fault(times, after, code=code))

    def delay(
        self, rpc: str, seconds: float, *, times: int | None = 1, after: bool = False
    ) -> None:
        """Have the next calls take `seconds` longer."""
        self._add(rpc, _Fault(times, after, seconds=seconds))

    def hang(self, rpc: str, *, times: int | None = 1, after: bool = False) -> None:
        """Have the next calls never answer."""
        self._add(rpc, _Fault(times, after))

    def refuse(self, refusal: Refusal, said: str = "injected refusal of a message") -> None:
        """Fail any Publish that holds a message of which `refusal` says so (INVALID_ARGUMENT).

        As with Google, one such message fails the whole request; `said` is the error's text.
        """
        self._refusals.append((refusal, said))

    def clear(self) -> None:
        """Go back to normal; calls that hang already stay hung."""
        self._pending.clear()
        self._refusals.clear()
        self._closed.clear()

    def close_topic(self, topic: str, code: grpc.StatusCode) -> None:
        """Fail every Publish to one topic with a status; all other calls work as before."""
        self._closed[topic] = code

    def open_topic(self, topic: str) -> None:
        """Let a closed topic take messages again."""
        self._closed.pop(topic, None)

    def check_topic(self, topic: str) -> None:
        """Apply the closed topics to a Publish.

        Raises:
            InjectedError: The topic is closed.
        """
        if (code := self._closed.get(topic)) is not None:
            raise InjectedError(code)

    def take(self, rpc: str) -> _Fault | None:
        """What befalls this call of `rpc`."""
        pending = self._pending.get(rpc)
        if not pending:
            return None
        fault = pending[0]
        if fault.times is not None:
            fault.times -= 1
            if fault.times == 0:
                pending.popleft()
        return fault

    def check(self, drafts: list[Draft]) -> None:
        """Apply the refusals.

        Raises:
            InvalidArgumentError: One of them refuses one of the messages.
        """
        for refusal, said in self._refusals:
            if any(refusal(data, attributes) for data, attributes in drafts):
                raise InvalidArgumentError(said)

    def _add(self, rpc: str, fault: _Fault) -> None:
        self._pending.setdefault(rpc, deque()).append(fault)

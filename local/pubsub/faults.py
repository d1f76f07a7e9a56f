"""What can go wrong at Pub/Sub, on demand: one constructor for each fault.

The operation of a fault is an RPC ("Publish", "Pull", ...). With `after`, a call takes effect
first: the message is stored, and the client cannot know.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import grpc

from local.faults import Fault as AnyFault
from local.faults import FaultPlan


class InjectedError(Exception):
    """The call fails with this status because of a fault."""

    def __init__(self, code: grpc.StatusCode, reason: str) -> None:
        super().__init__(reason or f"injected {code.name}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Effect:
    """What happens to a call, before or after it took effect.

    Attributes:
        code: the status it fails with; None delays it.
        reason: the text of the error.
        seconds: the delay; None until the caller gives up.
        is_content: whether the request's content is the reason, so that it applies on top of other
            faults.
    """

    after: bool
    code: grpc.StatusCode | None = None
    reason: str = ""
    seconds: float | None = None
    is_content: bool = False

    async def apply(self) -> None:
        """Delays or fails the call.

        Raises:
            InjectedError: The call is to fail.
        """
        if self.code is not None:
            raise InjectedError(self.code, self.reason)
        if self.seconds is None:
            await asyncio.get_running_loop().create_future()
        else:
            await asyncio.sleep(self.seconds)


Fault: TypeAlias = AnyFault[Effect]


@dataclass(frozen=True, slots=True)
class PublishedMessage:
    """A message of a Publish and its topic, as the predicates of faults see it."""

    topic: str
    data: bytes
    attributes: Mapping[str, str]


def fault_plan() -> FaultPlan[Effect]:
    """Returns an empty plan."""
    return FaultPlan(is_final=lambda effect: not effect.is_content)


def failing(rpc: str, code: grpc.StatusCode, *, reason: str = "", after: bool = False) -> Fault:
    """Fails calls with a status."""
    return AnyFault(Effect(after, code=code, reason=reason), rpc)


def delayed(rpc: str, seconds: float, *, after: bool = False) -> Fault:
    """Makes calls take `seconds` longer."""
    return AnyFault(Effect(after, seconds=seconds), rpc)


def hanging(rpc: str, *, after: bool = False) -> Fault:
    """Never answers calls."""
    return AnyFault(Effect(after), rpc)


def closed_topic(topic: str, code: grpc.StatusCode) -> Fault:
    """Fails every Publish to one topic with a status."""
    fault = AnyFault(Effect(after=False, code=code, is_content=True), "Publish")
    return fault.when(lambda message: message.topic == topic)


def rejecting(
    which: Callable[[bytes, Mapping[str, str]], bool],
    reason: str = "injected rejection of a message",
) -> Fault:
    """Fails every Publish with a message for which `which(data, attributes)` is true.

    As with Google, one such message fails the whole request with INVALID_ARGUMENT.
    """
    code = grpc.StatusCode.INVALID_ARGUMENT
    fault = AnyFault(Effect(after=False, code=code, reason=reason, is_content=True), "Publish")
    return fault.when(lambda message: which(message.data, message.attributes))

"""Bisects a batch that AEP refuses or fails on, to isolate the poison message.

Halves of the candidates are sent until one message stands alone; what is left over is sent together
at the end. That is about log2(n) + 2 requests for one poison message among n.

A message is rejected for what it is (400) as soon as it stands alone. A server error (500) proves
that only if AEP is well whenever it is asked in between: see `Bisection.confirm`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from pendo_aep.aep.response import BATCH_REJECTED, is_permanent
from pendo_aep.dead_letters import Reason
from pendo_aep.outcome import DELIVERED, Outcome, Rejected, Retry, RetryReason

SERVER_ERROR: Final = 500
_FAILING: Final = Retry(RetryReason.AEP_FAILING)
_POISON: Final = Rejected(Reason.POISON, "500 for it alone, while others are accepted")
# An AEP that fails on some of its requests, as with one bad server of three, fails on an innocent
# message so often in a row, and never on the known-good one in between, once in some thousand
# searches.
_TIMES_ALONE: Final = 6
# With so many found and nothing accepted, all messages seem poison: halves only add requests.
_ALL_SEEM_POISON: Final = 2


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The result of one request: its status (0: no response), and the outcome of each message."""

    status: int
    outcomes: Sequence[Outcome]
    retry_after: float = 0.0


def blames_messages(result: BatchResult) -> bool:
    """Returns whether AEP refused the request as a whole because of messages in it."""
    first = result.outcomes[0] if result.outcomes else None
    return is_permanent(result.status) and (isinstance(first, Rejected) or first == BATCH_REJECTED)


class SendBatch(Protocol):
    """Sends some messages, once."""

    async def __call__(self, messages: Sequence[bytes], *, expects_error: bool) -> BatchResult:
        """Returns the result; an expected server error does not count as an outage."""
        ...


class _Aborted(Exception):
    """AEP now responds differently, so the bisection says nothing about the other messages."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


async def isolate_poison_messages(
    messages: Sequence[bytes], status: int, send: SendBatch
) -> list[Outcome]:
    """Returns the outcome of each message of a batch that was answered with `status` as a whole.

    Args:
        messages: two or more.
        status: 400, 413, 422 (rejected for what it is) or 500.
        send: sends some of them.
    """
    bisection = Bisection(messages, send, may_be_outage=status == SERVER_ERROR)
    rest: Outcome = _FAILING
    try:
        await bisection.run()
        await bisection.confirm()
    except _Aborted as aborted:
        rest = aborted.outcome
    return [outcome or rest for outcome in bisection.outcomes]


@dataclass(slots=True)
class Bisection:
    """The search in one batch; messages are referred to by their positions in it.

    Attributes:
        outcomes: what is known about each message; None: nothing yet.
        suspects: those that got a server error when sent alone.
        is_alive: whether AEP has accepted another message since.
        known_good: one that AEP has accepted.
    """

    messages: Sequence[bytes]
    send: SendBatch
    may_be_outage: bool
    outcomes: list[Outcome | None] = field(init=False)
    suspects: list[int] = field(default_factory=list)
    is_alive: bool = False
    known_good: int | None = None
    poison_count: int = 0
    failures_in_a_row: int = 0

    def __post_init__(self) -> None:
        self.outcomes = [None] * len(self.messages)

    async def run(self) -> None:
        """Sends until every message is accepted, rejected or a suspect."""
        candidates = list(range(len(self.messages)))
        if self.may_be_outage:
            candidates = await self._candidates_of_an_error(candidates)
        while candidates:
            candidates = await self._isolate_one(candidates)
            if candidates and await self._passes(candidates):
                break

    async def _candidates_of_an_error(self, candidates: list[int]) -> list[int]:
        """Returns what may have caused the server error; if both halves fail, it is an outage."""
        middle = len(candidates) // 2
        for half in (candidates[:middle], candidates[middle:]):
            await self._passes(half)
        if self.known_good is None:
            # One more chance for AEP to show that it is alive, from either end.
            for position in (candidates[0], candidates[-1]):
                if len(candidates) > 2 and await self._passes([position]):
                    break
            else:
                raise _Aborted(_FAILING)
        return [p for p in candidates if self.outcomes[p] is None and p not in self.suspects]

    async def _isolate_one(self, candidates: list[int]) -> list[int]:
        """Isolates one poison message and returns the candidates that are still undecided."""
        rest: list[int] = []
        while len(candidates) > 1:
            all_seem_poison = self.poison_count >= _ALL_SEEM_POISON and self.known_good is None
            middle = 1 if all_seem_poison else len(candidates) // 2
            half, other = candidates[:middle], candidates[middle:]
            if await self._passes(half):
                candidates = other
            elif len(half) == 1:
                return other + rest
            else:
                candidates, rest = half, other + rest
        await self._passes(candidates)
        return rest

    async def _passes(self, positions: list[int]) -> bool:
        """Sends these messages. Returns False for a failure that one of them may have caused.

        Raises:
            _Aborted: AEP is out of reach, throttles, or fails more often than messages explain.
        """
        messages = [self.messages[position] for position in positions]
        # Only a message alone, before AEP has accepted any, shows that it is AEP that fails.
        expects_error = self.known_good is not None or len(positions) > 1
        result = await self.send(messages, expects_error=expects_error)
        if 200 <= result.status < 300:
            self._settle(positions, result.outcomes)
            return True
        is_error = self.may_be_outage and result.status == SERVER_ERROR
        if not is_error and not blames_messages(result):
            raise _Aborted(result.outcomes[0])
        if is_error:
            self._count_error()
        if len(positions) == 1:
            self.poison_count += 1
            if is_error:
                self.suspects += [p for p in positions if p not in self.suspects]
                self.is_alive = False
            else:
                self.outcomes[positions[0]] = result.outcomes[0]
                self._clear(positions[0])  # rejected for what it is, whatever failed before
        return False

    def _settle(self, positions: list[int], outcomes: Sequence[Outcome]) -> None:
        self.failures_in_a_row = 0
        for position, outcome in zip(positions, outcomes, strict=True):
            if self.outcomes[position] != DELIVERED:  # a known-good message sent again stays so
                self.outcomes[position] = outcome
            if outcome == DELIVERED:
                self.known_good, self.is_alive = position, True
            self._clear(position)

    def _clear(self, position: int) -> None:
        if position in self.suspects:
            self.suspects.remove(position)

    def _count_error(self) -> None:
        """Aborts after more errors in a row than two poison messages can cause by bisection."""
        self.failures_in_a_row += 1
        if self.failures_in_a_row > 2 * len(self.messages).bit_length() + 2:
            raise _Aborted(_FAILING)

    async def confirm(self) -> None:
        """Rejects suspects that AEP fails on every time, while it is alive each time in between.

        Otherwise it was an outage, and the messages that ran into it are innocent. To see that AEP
        is alive, a known-good message is sent again: it has the same `_id`, so it does no harm.
        """
        if not self.suspects or self.known_good is None:
            return
        known_good = self.known_good
        if not self.is_alive:
            await self._passes([known_good])
        for position in list(self.suspects):
            if await self._always_fails(position, known_good):
                self.outcomes[position] = _POISON

    async def _always_fails(self, position: int, known_good: int) -> bool:
        """Returns whether this one fails every time, and the known-good one never."""
        for _ in range(_TIMES_ALONE - 1):  # it has failed alone before
            if not self.is_alive:
                return False
            await self._passes([position])
            if position not in self.suspects:
                return False
            await self._passes([known_good])
        return self.is_alive

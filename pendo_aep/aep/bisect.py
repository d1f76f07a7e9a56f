"""Finding the one message for whose sake AEP refuses a whole batch, or fails on it.

Halves of the suspects are sent until one message stands alone; what was never under suspicion goes
together at the end. That is about log2(n) + 2 requests for one culprit among n messages.

A message is refused for what it is (400) as soon as it stands alone. A server error (500) says that
of a message only if AEP is well whenever it is asked in between: see `Bisection.confirm`.
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
# message so often in a row, and never on the witness between, once in some thousand searches.
_TIMES_ALONE: Final = 6
# This many alone at fault, and nobody accepted: they all are, and halves would only add requests.
_ALL_SEEM_AT_FAULT: Final = 2


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How one request went: its status (0: no answer), and the outcome of each message in it."""

    status: int
    outcomes: Sequence[Outcome]
    retry_after: float = 0.0


def blames_messages(tried: BatchResult) -> bool:
    """Did AEP refuse the request as a whole because of messages in it?"""
    first = tried.outcomes[0] if tried.outcomes else None
    return is_permanent(tried.status) and (isinstance(first, Rejected) or first == BATCH_REJECTED)


class SendBatch(Protocol):
    """What sends some messages, once."""

    async def __call__(self, messages: Sequence[bytes], *, expects_error: bool) -> BatchResult:
        """How it went; an expected server error is a message's, and no sign of an outage."""
        ...


class _Aborted(Exception):
    """AEP answers something else now; the search says nothing of those that are left."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


async def isolate_poison_messages(
    messages: Sequence[bytes], status: int, send: SendBatch
) -> list[Outcome]:
    """The outcome of each message of a batch that was answered with `status` as a whole.

    Args:
        messages: two or more.
        status: 400, 413, 422 (refused by what it is) or 500.
        send: sends some of them.
    """
    search = Bisection(messages, send, may_be_outage=status == SERVER_ERROR)
    left: Outcome = _FAILING
    try:
        await search.run()
        await search.confirm()
    except _Aborted as interruption:
        left = interruption.outcome
    return [outcome or left for outcome in search.outcomes]


@dataclass(slots=True)
class Bisection:
    messages: Sequence[bytes]
    send: SendBatch
    may_be_outage: bool
    outcomes: list[Outcome | None] = field(init=False)
    # Those that got a server error alone, and whether AEP has accepted another after that.
    accused: list[int] = field(default_factory=list)
    is_alive: bool = False
    witness: int | None = None
    culprits: int = 0
    failures_in_a_row: int = 0

    def __post_init__(self) -> None:
        self.outcomes = [None] * len(self.messages)

    async def run(self) -> None:
        """Sends until every message is accepted, refused or accused."""
        suspects = list(range(len(self.messages)))
        if self.may_be_outage:
            suspects = await self._suspects_of_an_error(suspects)
        while suspects:
            suspects = await self._find_one(suspects)
            if suspects and await self._passes(suspects):
                break

    async def _suspects_of_an_error(self, suspects: list[int]) -> list[int]:
        """Those that may have earned the server error; an outage is told by both halves failing."""
        middle = len(suspects) // 2
        for half in (suspects[:middle], suspects[middle:]):
            await self._passes(half)
        if self.witness is None:
            # One more chance for AEP to show that it is alive, from either end.
            for place in (suspects[0], suspects[-1]):
                if len(suspects) > 2 and await self._passes([place]):
                    break
            else:
                raise _Aborted(_FAILING)
        return [p for p in suspects if self.outcomes[p] is None and p not in self.accused]

    async def _find_one(self, suspects: list[int]) -> list[int]:
        """Finds one culprit among the suspects; answers those that are neither clear nor guilty."""
        rest: list[int] = []
        while len(suspects) > 1:
            all_seem = self.culprits >= _ALL_SEEM_AT_FAULT and self.witness is None
            middle = 1 if all_seem else len(suspects) // 2
            half, other = suspects[:middle], suspects[middle:]
            if await self._passes(half):
                suspects = other
            elif len(half) == 1:
                return other + rest
            else:
                suspects, rest = half, other + rest
        await self._passes(suspects)
        return rest

    async def _passes(self, places: list[int]) -> bool:
        """Sends these. False: a failure that one of them may have earned.

        Raises:
            _Aborted: AEP is out of reach, throttles, or fails more often than messages explain.
        """
        messages = [self.messages[place] for place in places]
        # Only a message alone, before AEP has accepted any, says that it is AEP who fails.
        expects_error = self.witness is not None or len(places) > 1
        tried = await self.send(messages, expects_error=expects_error)
        if 200 <= tried.status < 300:
            self._settle(places, tried.outcomes)
            return True
        is_error = self.may_be_outage and tried.status == SERVER_ERROR
        if not is_error and not blames_messages(tried):
            raise _Aborted(tried.outcomes[0])
        if is_error:
            self._bear_an_error()
        if len(places) == 1:
            self.culprits += 1
            if is_error:
                self.accused += [place for place in places if place not in self.accused]
                self.is_alive = False
            else:
                self.outcomes[places[0]] = tried.outcomes[0]
                self._acquit(places[0])  # refused for what it is, whatever failed before
        return False

    def _settle(self, places: list[int], outcomes: Sequence[Outcome]) -> None:
        self.failures_in_a_row = 0
        for place, outcome in zip(places, outcomes, strict=True):
            if self.outcomes[place] != DELIVERED:  # the witness is sent again, and has arrived
                self.outcomes[place] = outcome
            if outcome == DELIVERED:
                self.witness, self.is_alive = place, True
            self._acquit(place)

    def _acquit(self, place: int) -> None:
        if place in self.accused:
            self.accused.remove(place)

    def _bear_an_error(self) -> None:
        """One culprit explains as many errors in a row as halves can be made, two explain twice."""
        self.failures_in_a_row += 1
        if self.failures_in_a_row > 2 * len(self.messages).bit_length() + 2:
            raise _Aborted(_FAILING)

    async def confirm(self) -> None:
        """Refuses the accused if AEP goes on failing on them alone, and is alive each time after.

        Else it was an outage, and whatever was in the way of it is innocent. To see that AEP is
        alive, a message that it has already is sent again: the same `_id`, so it does no harm.
        """
        if not self.accused or self.witness is None:
            return
        witness = self.witness
        if not self.is_alive:
            await self._passes([witness])
        for place in list(self.accused):
            if await self._always_fails(place, witness):
                self.outcomes[place] = _POISON

    async def _always_fails(self, place: int, witness: int) -> bool:
        """Does this one fail every time, and does AEP accept the witness every time?"""
        for _ in range(_TIMES_ALONE - 1):  # it has failed alone before
            if not self.is_alive:
                return False
            await self._passes([place])
            if place not in self.accused:
                return False
            await self._passes([witness])
        return self.is_alive

"""Finding the one message for whose sake AEP refuses a whole batch.

Halves of the suspects are sent until one message stands alone; all that was never under suspicion
goes together at the end. That is about log2(n) + 2 requests for one culprit among n messages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from pendo_aep.dead_letter import Reason
from pendo_aep.outcome import DELIVERED, Outcome, Refused, Retry

SERVER_ERROR: Final = 500
# This many alone at fault, and nobody accepted: they all are, and halves would only add requests.
_ALL_SEEM_AT_FAULT: Final = 2


@dataclass(frozen=True, slots=True)
class Tried:
    """How one request went: its status (0: no answer), and the outcome of each message in it."""

    status: int
    outcomes: Sequence[Outcome]
    retry_after: float = 0.0


Try: TypeAlias = Callable[[Sequence[bytes]], Awaitable[Tried]]


class _Interrupted(Exception):
    """AEP answered something else now; the search says nothing of those that are left."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


async def find_culprits(messages: Sequence[bytes], status: int, send: Try) -> list[Outcome]:
    """The outcome of each message of a batch that was answered with `status` as a whole.

    Args:
        messages: two or more.
        status: 400, 413 or 422 (Adobe: refused by what it is), or a 500 that came again.
        send: sends some of them.
    """
    search = _Search(messages, status, send)
    try:
        if status != SERVER_ERROR or await search.aep_is_alive():
            await search.run()
    except _Interrupted as interruption:
        return [outcome or interruption.outcome for outcome in search.outcomes]
    return [outcome or Retry("aep_failing") for outcome in search.outcomes]


@dataclass(slots=True)
class _Search:
    messages: Sequence[bytes]
    status: int
    send: Try
    outcomes: list[Outcome | None] = field(init=False)
    # Of a 500: those that failed alone, until AEP has accepted something after them.
    accused: list[int] = field(default_factory=list)
    culprits: int = 0
    witness: int | None = None

    def __post_init__(self) -> None:
        self.outcomes = [None] * len(self.messages)

    async def aep_is_alive(self) -> bool:
        """Does AEP take at least one message alone? If not, it is AEP that fails, not a message."""
        return await self._passes([0])

    async def run(self) -> None:
        suspects = [place for place, outcome in enumerate(self.outcomes) if outcome is None]
        while suspects:
            suspects = await self._find_one(suspects)
            if suspects and await self._passes(suspects):
                break
        if self.accused and self.witness is not None:
            # It is the messages only if AEP is alive after them. What it has is sent again for
            # that: the same `_id`, so it does no harm.
            await self._passes([self.witness])

    async def _find_one(self, suspects: list[int]) -> list[int]:
        """Finds one culprit among the suspects; answers those that are neither clear nor guilty."""
        rest: list[int] = []
        while len(suspects) > 1:
            all_seem = self.culprits >= _ALL_SEEM_AT_FAULT and self.witness is None
            middle = 1 if all_seem else len(suspects) // 2
            half, other = suspects[:middle], suspects[middle:]
            if await self._passes(half):
                suspects = other
            else:
                suspects, rest = half, other + rest
                if len(half) == 1:
                    return rest
        await self._passes(suspects)
        return rest

    async def _passes(self, places: list[int]) -> bool:
        """Sends these. False: the same failure again; of a message alone it is the outcome."""
        tried = await self.send([self.messages[place] for place in places])
        if tried.status == self.status:
            if len(places) == 1:
                self.culprits += 1
                if self.status == SERVER_ERROR:
                    self.accused.append(places[0])
                else:
                    self.outcomes[places[0]] = tried.outcomes[0]
            return False
        if not 200 <= tried.status < 300:
            raise _Interrupted(tried.outcomes[0])
        for place, outcome in zip(places, tried.outcomes, strict=True):
            self.outcomes[place] = outcome
            if outcome == DELIVERED:
                self.witness = place
        if self.witness in places:
            self._convict()
        return True

    def _convict(self) -> None:
        """AEP accepts others, also after those that failed alone: so it is them."""
        for place in self.accused:
            self.outcomes[place] = Refused(Reason.POISON, "500, alone, while others are accepted")
        self.accused.clear()

"""What is looked at all the while: memory, what the functions print, and what AEP answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from tests.soak.lines import Lines
from tests.soak.memory import Memory
from tests.soak.rig import Rig

_LOOK_SECONDS: Final = 1.0


@dataclass(slots=True)
class Watch:
    """Looks once a second.

    Attributes:
        memory: of both functions.
        lines: that they printed.
        aep_answers: how often AEP's inlet gave each answer; "none" is hanging up.
        tokens: how many AEP has issued.
    """

    rig: Rig
    memory: Memory = field(default_factory=Memory)
    lines: Lines = field(default_factory=Lines)
    aep_answers: Counter[str] = field(default_factory=Counter)
    tokens: int = 0

    async def look(self) -> None:
        """Looks until it is cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.memory.weigh(self.rig.functions)
            self.read()

    def read(self) -> None:
        """Reads what has come since the last look, and lets it go: kept, it would be gigabytes."""
        for function in self.rig.functions.values():
            printed = function.output[:]
            del function.output[: len(printed)]
            self.lines.read(printed)
        aep = self.rig.aep
        self.aep_answers.update(str(request.status or "none") for request in aep.requests)
        self.tokens = aep.tokens.issued
        for kept in (aep.accepted, aep.refused, aep.requests, aep.token_requests):
            kept.clear()
        aep.distinct_ids.clear()

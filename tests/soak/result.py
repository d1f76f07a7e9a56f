"""What a run came to, and whether a promise is broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.soak.ledger import Account
from tests.soak.memory import Footprint
from tests.soak.plan import KILL_CARRIER, KILL_RECEIVE

# The same machine's allocator differs by some percent from run to run.
_FLAT: Final = 1.15
# The README deploys the functions with so much, in MB.
_INSTANCE: Final = 512


@dataclass(frozen=True, slots=True)
class Result:
    """A run.

    Attributes:
        date: of its beginning, as in 2026-01-31.
        command: that makes it again.
        python: the version.
        cores: of the machine.
        planned: webhooks that were to be sent.
        load_seconds: how long it took until the last of them was answered.
        rest_seconds: how long it took after that until all was quiet.
        gave_up: whether it was ended because nothing went on any more, or nothing came to rest.
        strikes: how often each kind of fault struck.
        account: what the ledger says.
        answers: what Pendo's side was answered, and how often.
        aep_answers: what the functions were answered by AEP, and how often.
        tokens: how many they were issued; one lives for 20 seconds.
        messages: what the functions logged, and how often.
        memory: of each function.
        replaced: workers that ended although nobody had killed them.
        leaks: lines and answers with a secret or personal data.
        tracebacks: lines with a traceback.
    """

    date: str
    command: str
    python: str
    cores: int
    planned: int
    load_seconds: float
    rest_seconds: float
    gave_up: bool
    strikes: Mapping[str, int]
    account: Account
    answers: Mapping[str, int]
    aep_answers: Mapping[str, int]
    tokens: int
    messages: Mapping[str, int]
    memory: Mapping[str, Footprint]
    replaced: int
    leaks: tuple[str, ...]
    tracebacks: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Webhooks a second, from the first to the last answer."""
        return self.account.told / self.load_seconds

    @property
    def kills(self) -> int:
        """How often a function was killed."""
        return sum(self.strikes.get(kind, 0) for kind in (KILL_RECEIVE, KILL_CARRIER))

    @property
    def copies_share(self) -> float:
        """Of what AEP was given, the share that it had already."""
        given = self.account.held + self.account.copies
        return self.account.copies / given if given else 0.0

    @property
    def broken(self) -> list[str]:
        """The promises that were not kept, each with the first example."""
        account = self.account
        examples: dict[str, list[str]] = {
            "lost": list(account.lost),
            "dead without cause": [f"{i} ({why})" for i, why in account.causeless.items()],
            "under an id that was never sent": list(account.strangers),
            "with something else in it than was sent": list(account.altered),
            "lines with a secret or personal data": list(self.leaks),
            "tracebacks": list(self.tracebacks),
            "functions whose memory grows": [
                f"{name} ({of.first:.0f} to {of.last:.0f} MB)"
                for name, of in self.memory.items()
                if of.growth is not None and of.growth > _FLAT
            ],
            f"functions that took more than {_INSTANCE} MB": [
                f"{name} ({of.peak:.0f} MB)"
                for name, of in self.memory.items()
                if of.peak > _INSTANCE
            ],
        }
        found = [f"{len(of):,} {what}: {of[0]}" for what, of in examples.items() if of]
        if unsent := self.planned - account.sent:
            found.append(f"{unsent:,} webhooks never sent")
        if account.unanswered:
            found.append(f"{account.unanswered:,} webhooks never got a 2xx")
        if self.replaced:
            found.append(f"{self.replaced:,} workers ended although nobody had killed them")
        if self.gave_up:
            found.append("it did not come to its end: see what the functions logged")
        return found

"""What the page may ask for: the bodies of its POSTs, checked."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from local.console.injections import Injection, Kind
from local.console.senders import MAX_BURST, Signature

MAX_TEXT: Final = 4_000_000


class _Ask(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Send(_Ask):
    """Send a webhook, or many."""

    text: Annotated[str, Field(max_length=MAX_TEXT)]
    signature: Signature = Signature.RIGHT
    count: Annotated[int, Field(ge=1, le=MAX_BURST)] = 1
    fresh: bool = True


class Stop(_Ask):
    """End the bursts that are under way."""


class Inject(_Ask):
    """Let something go wrong."""

    kind: Kind
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    seconds: Annotated[float, Field(gt=0, le=120)] = 2.0

    @property
    def injection(self) -> Injection:
        """The thing itself."""
        return Injection(self.kind, self.share, self.seconds)


class Clear(_Ask):
    """Let it go right again; without a kind, everything."""

    kind: Kind | None = None


class Restart(_Ask):
    """Start a function again."""

    target: str
    is_kill: bool = False


class Replay(_Ask):
    """Replay dead letters, by their message ids; without ids, all."""

    ids: frozenset[str] | None = None

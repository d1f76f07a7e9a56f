"""What the functions print: every line is read, and looked through for what must not be in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import orjson

from tests.soak.canaries import leaks_in

_ENOUGH: Final = 10


@dataclass(slots=True)
class Lines:
    """What was found.

    Attributes:
        messages: how often each message was logged, with its reason where it has one.
        leaks: lines that hold a secret or personal data; the first of them.
        tracebacks: those with a traceback, which nothing should ever end in; the first of them.
    """

    messages: Counter[str] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)

    def read(self, printed: Iterable[str]) -> None:
        """Looks through some lines."""
        for line in printed:
            if leaks_in(line) and len(self.leaks) < _ENOUGH:
                self.leaks.append(line)
            if ("stack_trace" in line or "Traceback" in line) and len(self.tracebacks) < _ENOUGH:
                self.tracebacks.append(line)
            self.messages[_message(line)] += 1


def _message(line: str) -> str:
    try:
        read = orjson.loads(line)
    except orjson.JSONDecodeError:  # a kill may cut a line
        return "not JSON"
    reason = read.get("reason", "")
    return f"{read['message']}: {reason}" if reason else str(read["message"])

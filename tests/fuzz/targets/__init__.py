"""The targets by name, each with what says that a promise is broken, and with its seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tests.fuzz.targets import answer, body, push, settings, signature


@dataclass(frozen=True, slots=True)
class Target:
    """What is fuzzed."""

    check: Callable[[bytes], None]
    seeds: Callable[[], Iterator[bytes]]


TARGETS: Final[Mapping[str, Target]] = {
    "signature": Target(signature.check, signature.seeds),
    "body": Target(body.check, body.seeds),
    "push": Target(push.check, push.seeds),
    "answer": Target(answer.check, answer.seeds),
    "settings": Target(settings.check, settings.seeds),
}

"""The targets by name, each with its check and its seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tests.fuzz.targets import answer, push, settings, webhook


@dataclass(frozen=True, slots=True)
class Target:
    """What is fuzzed: `check` raises if an input breaks a promise."""

    check: Callable[[bytes], None]
    seeds: Callable[[], Iterator[bytes]]


TARGETS: Final[Mapping[str, Target]] = {
    "signature": Target(webhook.check_signature, webhook.signature_seeds),
    "body": Target(webhook.check_body, webhook.body_seeds),
    "push": Target(push.check, push.seeds),
    "answer": Target(answer.check, answer.seeds),
    "settings": Target(settings.check, settings.seeds),
}

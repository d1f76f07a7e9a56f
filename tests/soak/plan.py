"""What goes wrong and when: drawn from a seed, so that a run can be repeated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

KILL_RECEIVE: Final = "kill receive"
KILL_CARRIER: Final = "kill carrier"
PUBSUB_GONE: Final = "Pub/Sub restarts"
FREEZE_RECEIVE: Final = "receive freezes"
FREEZE_CARRIER: Final = "carrier freezes"
SILENT_PUBSUB: Final = "connections to Pub/Sub go silent"
SILENT_AEP: Final = "connections to AEP go silent"
LETTERS_DENIED: Final = "dead-letter topic denies the right to publish"
LETTERS_GONE: Final = "dead-letter topic is out of reach"
FREEZES: Final = (FREEZE_RECEIVE, FREEZE_CARRIER)
SILENCES: Final = (SILENT_PUBSUB, SILENT_AEP)
LETTERS: Final = (LETTERS_DENIED, LETTERS_GONE)
# CLOUD_RUN_TIMEOUT_SECONDS of the functions: short, so that a freeze need not last a minute.
WORKER_TIMEOUT_SECONDS: Final = 4
_ROUND_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Strike:
    """One thing that goes wrong.

    Attributes:
        at: when, in seconds from the start.
        kind: what.
        seconds: how long it lasts; 0 is a moment.
        share: of the requests that it befalls, for those faults that strike some of them.
    """

    at: float
    kind: str
    seconds: float
    share: float

    def __str__(self) -> str:
        lasts = f" for {self.seconds:.1f} s, {self.share:.0%}" if self.seconds else ""
        return f"{self.at:6.1f} s  {self.kind}{lasts}"


@dataclass(frozen=True, slots=True)
class Stream:
    """A source of strikes beside others: one after the other, each after a pause.

    Attributes:
        kinds: what it draws from; each comes once before any comes again.
        pause: the shortest and the longest time between two, in seconds.
        lasts: the same of how long one lasts; zeros are moments.
        until: the share of the run after which it is quiet.
    """

    kinds: Sequence[str]
    pause: tuple[float, float]
    lasts: tuple[float, float] = (0.0, 0.0)
    until: float = 1.0


# A function that is killed every few seconds has no time to grow: it has the end of the run for
# that. Ten minutes have some seventy kills in them, and room to recover from each.
_KILLS: Final = Stream((KILL_RECEIVE, KILL_CARRIER), (4.0, 8.0), until=0.7)
_PUBSUB: Final = Stream((PUBSUB_GONE,), (15.0, 30.0), (0.5, 3.0))
# Longer than the timeout of a worker, `WORKER_TIMEOUT_SECONDS`.
_FREEZES: Final = Stream(FREEZES, (10.0, 30.0), (5.0, 8.0))
_SILENCES: Final = Stream(SILENCES, (5.0, 20.0))
_LETTERS: Final = Stream(LETTERS, (4.0, 20.0), (2.0, 6.0))


def streams(
    of_aep: Sequence[str],
    of_clock: Sequence[str],
    of_settings: Sequence[str],
    *,
    has_letters: bool = True,
) -> tuple[Stream, ...]:
    """All that can go wrong, side by side.

    Args:
        of_aep: faults of AEP.
        of_clock: leaps of AEP's clock.
        of_settings: refusals of everything, as after a wrong setting.
        has_letters: whether the dead-letter topic alone can fail; on Google's emulator it cannot.
    """
    return (
        Stream(of_aep, (0.5, 3.0), (1.0, 4.0)),
        _KILLS,
        _PUBSUB,
        Stream(of_clock, (8.0, 16.0), (3.0, 8.0)),
        Stream(of_settings, (10.0, 30.0), (2.0, 5.0)),
        _FREEZES,
        _SILENCES,
        *[_LETTERS] * has_letters,
    )


def make_plan(seed: int, seconds: float, sources: Sequence[Stream]) -> list[Strike]:
    """The strikes of a run of so many seconds, in their order; the same for the same seed.

    All is well again before the end: what is still open then is brought to its end.
    """
    strikes: list[Strike] = []
    for number, source in enumerate(sources):
        # A source of random for each, so that one more of them changes nothing of the others.
        strikes += _drawn(Random(f"{seed}/{number}"), source, seconds * source.until)  # noqa: S311
    return sorted(strikes, key=lambda strike: strike.at)


def _drawn(random: Random, source: Stream, until: float) -> Iterator[Strike]:
    at = 0.0
    while True:
        for kind in random.sample(source.kinds, len(source.kinds)):
            at += random.uniform(*source.pause)
            lasts = random.uniform(*source.lasts)
            if at + lasts > until:
                return
            yield Strike(round(at, 2), kind, round(lasts, 2), round(random.uniform(0.1, 1.0), 2))
            at += lasts


def count(strikes: Sequence[Strike]) -> Mapping[str, int]:
    """How often each kind strikes, the most frequent first."""
    kinds = [strike.kind for strike in strikes]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds), key=lambda k: -kinds.count(k))}


@dataclass(frozen=True, slots=True)
class Pace:
    """When webhooks come: for five seconds steadily, then as many again within one second.

    Attributes:
        rate: webhooks a second, in the long run.
    """

    rate: float

    def due(self, number: int) -> float:
        """When a webhook comes, in seconds from the start; the first is number 0."""
        rounds, within = divmod(number / self.rate, _ROUND_SECONDS)
        half = _ROUND_SECONDS / 2
        return rounds * _ROUND_SECONDS + (within if within < half else half + (within - half) / 5)

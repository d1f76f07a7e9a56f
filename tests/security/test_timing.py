"""How long a refusal takes says nothing: not how much of a signature was right, nor which secret.

A digest is too short to be timed on a busy machine, so here the digests are megabytes long; what
would tell on them is what would tell, a little, on 64 digits. That the measure would notice is
tested with a comparison that ends early.
"""

from __future__ import annotations

import hmac
import operator
import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from pendo_aep.pendo import signature
from pendo_aep.pendo.signature import SignatureWrong, verify

RIGHT = b"a" * 5_000_000
# Of medians of interleaved samples; what ends early differs by more than a thousand.
ALIKE, TELLING = 2.0, 5.0


class Ready(str):
    """A header that is read already, so that nothing takes time but to compare it."""

    __slots__ = ("read",)
    read: bytes

    def __new__(cls, read: bytes) -> Ready:
        """Takes what the header reads as."""
        made = super().__new__(cls, "header")
        made.read = read
        return made

    def strip(self, _: str | None = None) -> Ready:
        """Itself."""
        return self

    def lower(self) -> Ready:
        """Itself."""
        return self

    def encode(self, *_: str, **__: str) -> bytes:
        """What it reads as."""
        return self.read


def ratio(first: Callable[[], object], second: Callable[[], object], samples: int = 60) -> float:
    """How many times longer the slower takes; their samples take turns, whatever else runs here."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(samples):
        for call, times in zip((first, second), took, strict=True):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
    fast, slow = sorted(statistics.median(times) for times in took)
    return slow / fast


def refusal(header: bytes) -> Callable[[], None]:
    """What is timed: a signature that is refused."""
    signatures = [Ready(header)]

    def refuse() -> None:
        with pytest.raises(SignatureWrong):
            verify(b"body", signatures, [b"secret"])

    return refuse


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What `verify` has in the place of `hmac`: every right digest is megabytes long."""
    made = SimpleNamespace(hex=lambda: Ready(RIGHT))
    patched = SimpleNamespace(digest=lambda *_: made, compare_digest=hmac.compare_digest)
    monkeypatch.setattr(signature, "hmac", patched)
    return patched


EARLY, LATE = refusal(b"b" + RIGHT[1:]), refusal(RIGHT[:-1] + b"b")


@pytest.mark.usefixtures("patched")
def test_how_much_was_right() -> None:
    """A signature wrong in its first digit is refused as late as one wrong in its last."""
    assert ratio(EARLY, LATE) < ALIKE


def test_the_measure_would_notice(patched: SimpleNamespace) -> None:
    """With `==`, which ends at the first difference, the same measure tells the two apart."""
    patched.compare_digest = operator.eq
    assert ratio(EARLY, LATE) > TELLING


def test_which_secret_was_right() -> None:
    """The first of many secrets takes as long as the last; a single one would be noticed."""
    others = [b"other-%d" % number for number in range(500)]
    header = [hmac.new(b"right", b"body", "sha256").hexdigest()]

    def first() -> None:
        verify(b"body", header, [b"right", *others])

    def last() -> None:
        verify(b"body", header, [*others, b"right"])

    def alone() -> None:
        verify(b"body", header, [b"right"])

    assert ratio(first, last) < ALIKE
    assert ratio(alone, last) > TELLING

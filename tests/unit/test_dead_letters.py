"""The attributes of a dead letter: the reason, and those of the message."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pendo_aep.dead_letters import Reason, dead_letter_attributes

FAILED = datetime(2026, 1, 31, 8, 30, 0, 250_000, tzinfo=UTC)


def attributes(original: dict[str, str], detail: str = "400 wrong") -> dict[str, str]:
    """Returns the attributes of a message that AEP rejected."""
    return dead_letter_attributes(
        original, reason=Reason.REJECTED, detail=detail, stage="deliver", failed_at=FAILED
    )


def test_attributes_of_a_dead_letter() -> None:
    """A dead letter has its reason, its detail, the stage and the time."""
    assert attributes({"eventId": "e", "traceparent": "t"}) == {
        "eventId": "e",
        "traceparent": "t",
        "reason": "rejected",
        "detail": "400 wrong",
        "stage": "deliver",
        "failedAt": "2026-01-31T08:30:00.250Z",
    }


def test_attributes_are_plain_text() -> None:
    """Every value is a plain string, also the reason."""
    assert {type(value) for value in attributes({"a": "b"}).values()} == {str}


def test_a_replayed_dead_letter() -> None:
    """A replayed dead letter that fails again has the new detail; the original is unchanged."""
    before = attributes({"eventId": "e"}, "first")
    copy = before.copy()
    assert attributes(before, "second") == before | {"detail": "second"}
    assert before == copy


@pytest.mark.parametrize(
    "detail",
    ["x" * 1025, "é" * 600, "a" + "é" * 600, "\U0001f600" * 300, "ab" + "\U0001f600" * 300],
)
def test_a_long_detail_is_cut(detail: str) -> None:
    """A detail is cut to 1,024 bytes, and never within a character (Google: Pub/Sub quotas)."""
    cut = attributes({}, detail)["detail"]
    assert detail.startswith(cut)
    assert 1024 - 4 < len(cut.encode()) <= 1024


def test_a_lone_surrogate_in_a_detail() -> None:
    """A lone surrogate in a detail is replaced, so that it can be sent."""
    assert attributes({}, "a\ud800b")["detail"].encode()


def test_at_most_a_hundred_attributes() -> None:
    """Of a message with 100 attributes some are left out, never the reason."""
    original = {f"a{n}": "x" for n in range(100)}
    made = attributes(original)
    assert len(made) == 100
    assert {"reason", "detail", "stage", "failedAt"} <= made.keys()
    assert "a0" in made


def test_the_reasons_are_stable() -> None:
    """Users filter and alert by these codes, so they must not change."""
    assert sorted(Reason) == [
        "exhausted",
        "foreign",
        "not_an_event",
        "not_json",
        "poison",
        "rejected",
        "too_large",
        "unpublishable",
    ]

"""What the benchmarks send."""

from __future__ import annotations

import orjson
import pytest

from benchmarks import events
from benchmarks.growth import BODY_BYTES


@pytest.mark.parametrize("size", [*BODY_BYTES, 1200])
def test_a_webhook_has_the_size_asked_for(size: int) -> None:
    """A body has exactly so many bytes, and is an NPS webhook with an id of its own."""
    one, another = events.webhook(size), events.webhook(size)

    assert len(one) == len(another) == size
    assert orjson.loads(one)["event"] == "npsSubmitted"
    assert orjson.loads(one)["uniqueId"] != orjson.loads(another)["uniqueId"]


def test_a_webhook_cannot_be_smaller_than_it_is() -> None:
    """A size that no webhook has is an error that names the least."""
    with pytest.raises(ValueError, match="at least"):
        events.webhook(100)

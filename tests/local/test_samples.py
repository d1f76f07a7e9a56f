"""Webhooks of a given size, made of a sample."""

from __future__ import annotations

import orjson
import pytest

from local.samples import LARGE_BYTES, grown, load_samples


@pytest.mark.parametrize("size", LARGE_BYTES)
def test_a_grown_webhook_has_its_size(size: int) -> None:
    """It has exactly so many bytes, and all that the sample has, of every kind of event."""
    for sample in load_samples():
        body = orjson.loads(sample.body)
        large = grown(body, size)
        assert len(large) == size
        read = orjson.loads(large)
        for key in body.get("properties", {}):
            assert read["properties"].pop(key) == body["properties"][key]
        assert {**read, "properties": body.get("properties")} == {"properties": None, **body}


def test_a_webhook_does_not_shrink() -> None:
    """A size that the sample exceeds is refused."""
    with pytest.raises(ValueError, match="more than 100 bytes"):
        grown({"event": "x" * 100}, 100)

"""Seeds from what the project has already: the sample events and the tables of its tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local.samples import LARGE_BYTES, grown

PROJECT = Path(__file__).resolve().parents[2]


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of a table of the tests, some of which only Python's own reader takes."""
    path = PROJECT / "tests" / "data" / f"{name}.json"
    found: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return found


def samples(suffix: str) -> list[bytes]:
    """The sample files that end so: `.json` are webhooks, `.event.json` what is made of them."""
    found = sorted((PROJECT / "sample_events").glob(f"*{suffix}"))
    return [path.read_bytes() for path in found if "".join(path.suffixes) == suffix]


def large(suffix: str) -> Iterator[bytes]:
    """A sample with more in its `properties`, of 5, 50 and 500 kB."""
    sample = json.loads((PROJECT / "sample_events" / f"guide_displayed{suffix}").read_bytes())
    for size in LARGE_BYTES:
        yield grown(sample, size)

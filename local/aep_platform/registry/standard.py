"""Adobe's own resources in the `global` container.

`standard.json` holds of each what a Pendo event can use: a part of what Adobe publishes in its
repository of XDM, with the names and types from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import orjson

from local.aep_platform.state import Resource

_FILE = Path(__file__).with_name("standard.json")


def standard_resources() -> Mapping[str, Resource]:
    """Adobe's resources by their `$id`."""
    return {
        entry["id"]: Resource(id=entry["id"], kind=entry["kind"], body=entry["body"], tenant=None)
        for entry in orjson.loads(_FILE.read_bytes())
    }

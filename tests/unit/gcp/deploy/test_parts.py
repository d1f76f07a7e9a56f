"""What the topics are made with: how long messages are kept, and where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pendo_aep.gcp.deploy import parts
from pendo_aep.gcp.deploy.inventory import Inventory
from pendo_aep.gcp.deploy.part import ensure
from tests.unit.gcp.deploy.fake_gcloud import FakeGcloud, Rule
from tests.unit.gcp.deploy.test_access import configured

_UPDATE = "pubsub topics update pendo-events"
_FLAG = "--message-storage-policy-allowed-regions"


def topic(*regions: str) -> dict[str, Any]:
    """As `gcloud pubsub topics list` shows the one of events."""
    policy = {"messageStoragePolicy": {"allowedPersistenceRegions": regions}} if regions else {}
    name = "projects/acme-demo/topics/pendo-events"
    return {"name": name, "messageRetentionDuration": "604800s", **policy}


@pytest.mark.parametrize(
    ("region", "given", "seen", "commands"),
    [
        ("us-east1", "", None, [f"pubsub topics create pendo-events {_FLAG}=us-east1"]),
        ("us-east1", "", topic(), [f"{_UPDATE} {_FLAG}=us-east1"]),
        ("us-east1", "", topic("us-east1"), []),
        ("us-east1", "", topic("us-east1", "us-east4"), [f"{_UPDATE} {_FLAG}=us-east1"]),
        (
            "us-east1",
            "us-east1,us-east4",
            topic("us-east1"),
            [f"{_UPDATE} {_FLAG}=us-east1,us-east4"],
        ),
        ("us-east1", "us-east1,us-east4", topic("us-east4", "us-east1"), []),
        ("us-east1", "any", None, ["pubsub topics create pendo-events"]),
        ("us-east1", "any", topic(), []),
        ("us-east1", "any", topic("us-east1"), [f"{_UPDATE} --recompute-message-storage-policy"]),
    ],
)
def test_messages_are_stored_where_the_config_says(
    region: str,
    given: str,
    seen: dict[str, Any] | None,
    commands: list[str],
    fake: FakeGcloud,
    tmp_path: Path,
) -> None:
    """By default in the functions' region; what is there is changed, or left if it is right."""
    config = configured(tmp_path, REGION=region, MESSAGE_REGIONS=given)
    fake.answer(Rule("topics list", json.dumps([seen] if seen else [])))
    events, letters = parts.topics(config)

    ensure(events, Inventory(config, fake.gcloud, ["topics"]), fake.gcloud)

    kept = " --message-retention-duration=604800s"
    assert [words.replace(kept, "") for words in fake.changed] == commands
    assert [field.flag for field in letters.fields if "storage" in field.flag] == [
        field.flag for field in events.fields if "storage" in field.flag
    ]

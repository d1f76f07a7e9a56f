"""Alerting policies: with which command, and one after the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pendo_aep.gcp.deploy import monitoring
from pendo_aep.gcp.deploy.gcloud import GcloudFailed
from pendo_aep.gcp.deploy.inventory import Inventory
from tests.unit.gcp.deploy.fake_gcloud import FakeGcloud, Rule
from tests.unit.gcp.deploy.test_access import configured

_OLD = Rule(
    "monitoring policies list",
    err="ERROR: (gcloud.monitoring) Invalid choice: 'policies'.\nMaybe you meant: ...",
    code=2,
)
_ALPHA = Rule("alpha monitoring policies list", "[]")
_CHANNELS = Rule(
    "channels list", json.dumps([{"displayName": "pendo-to-aep", "name": "channels/1"}])
)


@pytest.mark.parametrize(
    ("rules", "group"),
    [((), "monitoring policies"), ((_ALPHA, _OLD), "alpha monitoring policies")],
    ids=["a gcloud that has it", "an older one"],
)
def test_the_commands_are_those_that_the_installed_gcloud_has(
    rules: tuple[Rule, ...], group: str, fake: FakeGcloud, tmp_path: Path
) -> None:
    """It is found out by one list; each alert is then created with the same words."""
    config = configured(tmp_path)
    fake.answer(*rules, _CHANNELS)

    inventory = Inventory(config, fake.gcloud, monitoring.KINDS)
    monitoring.alert(config, inventory, fake.gcloud, tmp_path)

    alerts = [
        *(Path(monitoring.__file__).parents[3] / "deploy" / "monitoring" / "alerts").iterdir()
    ]
    created = [words.partition(" --policy-from-file")[0] for words in fake.changed]
    assert created == [f"{group} create"] * len(alerts)


def test_a_command_that_nobody_has_is_a_failure(fake: FakeGcloud, tmp_path: Path) -> None:
    """It says what gcloud says."""
    config = configured(tmp_path)
    fake.answer(Rule("policies list", err="ERROR: Invalid choice: 'policies'.", code=2))

    with pytest.raises(GcloudFailed, match="Invalid choice"):
        Inventory(config, fake.gcloud, ["policies"])

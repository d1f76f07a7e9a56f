"""The settings for `deliver` are complete and hold no secret; and how long AEP needs after."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pendo_aep import clock
from pendo_aep.provisioning.apply import remaining_field_wait, remaining_flow_wait
from pendo_aep.provisioning.deliver_settings import as_env_file
from pendo_aep.provisioning.errors import PlatformError
from pendo_aep.provisioning.resource import Observed
from pendo_aep.settings import DeliverSettings, load
from tests.unit.provisioning.harness import ALL_CHOICES, Harness, only


@pytest.mark.parametrize("name", ALL_CHOICES)
async def test_deliver_needs_no_other_settings(harness: Harness, name: str) -> None:
    """They are complete for any choices, as lines that every shell and env file reads alike."""
    await harness.set_up(ALL_CHOICES[name])

    environment = await harness.show()

    settings = load(DeliverSettings, {"GOOGLE_CLOUD_PROJECT": "p", **environment})
    assert settings.aep_format == ALL_CHOICES[name].format
    assert settings.aep_flow_id == only(harness.state.flows).id
    if settings.aep_format == "xdm":
        assert settings.aep_dataset_id == only(harness.state.datasets).id
        assert settings.aep_schema_id == only(harness.state.schemas).id
        assert (settings.aep_tenant_id, settings.aep_ims_org_id) == ("acme", "ACME@AdobeOrg")
    text = as_env_file(environment)
    assert harness.aep.client_secret not in text
    assert dict(line.split("=", 1) for line in text.splitlines()) == environment
    assert not set(text) & set(" '\"$#\\")


@pytest.mark.parametrize("missing", ["dataflow", "dataset", "schema"])
async def test_a_missing_resource_is_named(harness: Harness, missing: str) -> None:
    """The error says that the set-up is not complete, and how to complete it."""
    await harness.set_up()
    harness.state.flows.clear()
    if missing != "dataflow":
        harness.state.datasets.clear()
    if missing == "schema":
        harness.state.schemas.clear()

    with pytest.raises(PlatformError, match=f"no {missing} 'Pendo Events' .* `aep apply`"):
        await harness.show()


async def test_a_flow_that_takes_no_data_is_an_error(harness: Harness) -> None:
    """It is disabled, or AEP does not show its inlet yet: deliver would only lose events."""
    await harness.set_up()
    flow = only(harness.state.flows)
    flow.enabled = False
    with pytest.raises(PlatformError, match="is disabled"):
        await harness.show()

    flow.enabled, flow.inlet = True, None
    with pytest.raises(PlatformError, match="no inlet"):
        await harness.show()


NOW = 1_790_004_100


@pytest.mark.parametrize(
    ("created_ago", "updated_ago", "remaining"),
    [
        pytest.param(0, None, 300.0, id="new"),
        pytest.param(100, None, 200.0, id="never updated"),
        pytest.param(100, 100, 200.0, id="some minutes old"),
        pytest.param(4100, 100, 200.0, id="updated"),
        pytest.param(4100, 3600, 0.0, id="updated long ago"),
        pytest.param(-4000, None, 300.0, id="created by a clock that is ahead"),
        pytest.param(None, None, 300.0, id="of unknown age"),
    ],
)
def test_wait_for_a_flow(
    monkeypatch: pytest.MonkeyPatch,
    created_ago: int | None,
    updated_ago: int | None,
    remaining: float,
) -> None:
    """Adobe asks for the pause after a dataflow is created and after it is updated."""
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(NOW, UTC))
    dates = {"createdAt": created_ago, "updatedAt": updated_ago}
    body = {key: None if ago is None else (NOW - ago) * 1000 for key, ago in dates.items()}

    assert remaining_flow_wait(Observed("f", body), 300.0) == remaining


@pytest.mark.parametrize(
    ("created", "changed", "remaining"),
    [
        pytest.param(1_790_000_000_000, 1_790_004_000_000, 800.0, id="fields added"),
        pytest.param(1_790_000_000_000, 1_790_000_500_000, 0.0, id="long ago"),
        pytest.param(1_790_004_000_000, 1_790_004_000_000, 0.0, id="new"),
        pytest.param(None, None, 0.0, id="no dates"),
    ],
)
def test_wait_for_new_fields(
    monkeypatch: pytest.MonkeyPatch, created: int | None, changed: int | None, remaining: float
) -> None:
    """Adobe: a changed schema may take 15 minutes to reach streaming validation."""
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(NOW, UTC))
    dates = {"repo:createdDate": created, "repo:lastModifiedDate": changed}
    group = Observed("g", {"meta:registryMetadata": dates})

    assert remaining_field_wait(group, 900.0) == remaining

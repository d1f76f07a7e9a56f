"""What `deliver` is told: all it needs and no secret; what is missing is named."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pendo_aep import clock
from pendo_aep.provisioning.choices import Choices
from pendo_aep.provisioning.environment import as_text
from pendo_aep.provisioning.errors import PlatformError
from pendo_aep.provisioning.part import Existing
from pendo_aep.provisioning.readiness import seconds_left, seconds_until_known
from pendo_aep.settings import DeliverSettings, load
from tests.unit.provisioning.desk import ALL_CHOICES, Desk, only


@pytest.mark.parametrize("name", ALL_CHOICES)
async def test_deliver_takes_it_as_it_is(desk: Desk, name: str) -> None:
    """The settings of `deliver` are complete with it, whichever choices were made."""
    await desk.apply(ALL_CHOICES[name])

    environment = await desk.show()

    settings = load(DeliverSettings, {"GOOGLE_CLOUD_PROJECT": "p", **environment})
    assert settings.aep_format == ALL_CHOICES[name].format
    assert settings.aep_flow_id == only(desk.state.flows).id
    assert desk.aep.client_secret not in as_text(environment)
    if settings.aep_format == "xdm":
        assert settings.aep_dataset_id == only(desk.state.datasets).id
        assert settings.aep_schema_id == only(desk.state.schemas).id
        assert (settings.aep_tenant_id, settings.aep_ims_org_id) == ("acme", "ACME@AdobeOrg")


async def test_lines_are_ready_for_an_env_file(desk: Desk) -> None:
    """`NAME=value`, with nothing that a shell or an env file would read otherwise."""
    await desk.apply(Choices(source="http", format="xdm"))

    lines = as_text(await desk.show()).splitlines()

    names = [line.partition("=")[0] for line in lines]
    assert names == [
        "AEP_ENDPOINT",
        "AEP_FLOW_ID",
        "AEP_FORMAT",
        "AEP_SANDBOX",
        "AEP_IDENTITY_NAMESPACE",
        "AEP_SCHEMA_ID",
        "AEP_DATASET_ID",
        "AEP_IMS_ORG_ID",
        "AEP_TENANT_ID",
    ]
    assert not any(set(line) & set(" '\"$#\\") for line in lines)


@pytest.mark.parametrize("missing", ["dataflow", "dataset", "schema"])
async def test_what_is_missing_is_named(desk: Desk, missing: str) -> None:
    """A set-up that is not complete is told as such, with the way to complete it."""
    await desk.apply()
    desk.state.flows.clear()
    if missing != "dataflow":
        desk.state.datasets.clear()
    if missing == "schema":
        desk.state.schemas.clear()

    with pytest.raises(PlatformError, match=f"no {missing} 'Pendo Events' .* `aep apply`"):
        await desk.show()


async def test_a_disabled_flow_is_told(desk: Desk) -> None:
    """Settings for a flow that takes no data would only lose data."""
    await desk.apply()
    only(desk.state.flows).enabled = False

    with pytest.raises(PlatformError, match="is disabled"):
        await desk.show()


async def test_an_inlet_that_is_not_there_yet_is_told(desk: Desk) -> None:
    """AEP may show it later; an empty AEP_ENDPOINT helps nobody."""
    await desk.apply()
    only(desk.state.flows).inlet = None

    with pytest.raises(PlatformError, match="no inlet"):
        await desk.show()


@pytest.mark.parametrize(
    ("age", "left"),
    [
        pytest.param(0.0, 300.0, id="new"),
        pytest.param(100.0, 200.0, id="some minutes old"),
        pytest.param(4000.0, 0.0, id="old"),
        pytest.param(-4000.0, 300.0, id="made by a clock that is ahead"),
    ],
)
def test_the_wait_goes_by_the_age_of_the_flow(
    monkeypatch: pytest.MonkeyPatch, age: float, left: float
) -> None:
    """What is left of it, and never more than all of it."""
    made = 1_790_000_000.0
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(made + age, UTC))

    assert seconds_left(Existing("f", {"createdAt": made * 1000}), 300.0) == left


@pytest.mark.parametrize(
    ("created", "updated", "left"),
    [
        pytest.param(1_790_000_000_000, 1_790_004_000_000, 200.0, id="changed"),
        pytest.param(1_790_004_000_000, 1_790_004_000_000, 200.0, id="new"),
        pytest.param(1_790_004_000_000, None, 200.0, id="never changed"),
        pytest.param(1_790_000_000_000, 1_790_000_500_000, 0.0, id="changed long ago"),
    ],
)
def test_a_changed_flow_is_waited_for_like_a_new_one(
    monkeypatch: pytest.MonkeyPatch, created: int, updated: int | None, left: float
) -> None:
    """Adobe asks for the pause after a dataflow is created and after it is updated."""
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(1_790_004_100, UTC))
    body = {"createdAt": created, "updatedAt": updated}

    assert seconds_left(Existing("f", body), 300.0) == left


@pytest.mark.parametrize(
    ("created", "changed", "left"),
    [
        pytest.param(1_790_000_000_000, 1_790_004_000_000, 800.0, id="fields added"),
        pytest.param(1_790_000_000_000, 1_790_000_500_000, 0.0, id="long ago"),
        pytest.param(1_790_004_000_000, 1_790_004_000_000, 0.0, id="new"),
        pytest.param(None, None, 0.0, id="no dates"),
    ],
)
def test_new_fields_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, created: int | None, changed: int | None, left: float
) -> None:
    """Adobe: a changed schema may take 15 minutes to reach streaming validation."""
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(1_790_004_100, UTC))
    dates = {"repo:createdDate": created, "repo:lastModifiedDate": changed}

    assert seconds_until_known(Existing("g", {"meta:registryMetadata": dates}), 900.0) == left


def test_without_an_age_the_wait_is_whole() -> None:
    """Where AEP does not say when a flow was made, nothing is assumed."""
    assert seconds_left(Existing("f", {}), 300.0) == 300.0

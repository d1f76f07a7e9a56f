"""Credentials, organisation, sandbox, permissions: what is wrong is named with the next step."""

from __future__ import annotations

import pytest

from local.aep import token_endpoint_down
from local.aep_platform import Call, Drop, Permission
from local.functions import free_port
from pendo_aep.provisioning.choices import Choices
from pendo_aep.provisioning.errors import OutOfReach, PlatformError
from pendo_aep.provisioning.part import Kind
from pendo_aep.provisioning.plan import Action
from tests.unit.provisioning.desk import Desk, actions, ids_of, only

WRONG = [
    pytest.param({"AEP_CLIENT_SECRET": "canary"}, ["refuses the credentials"], id="secret"),
    pytest.param({"AEP_CLIENT_ID": "canary-id"}, ["refuses the credentials"], id="client"),
    pytest.param({"AEP_IMS_ORG_ID": "OTHER@AdobeOrg"}, ["AEP_IMS_ORG_ID"], id="organisation"),
    pytest.param({"AEP_SANDBOX": "test"}, ["sandbox test", "one of: dev, prod"], id="sandbox"),
    pytest.param({"AEP_TENANT_ID": "_other"}, ["is other", "is acme", "AEP_IMS_ORG"], id="tenant"),
]


@pytest.mark.parametrize(("changes", "texts"), WRONG)
async def test_what_is_wrong_is_named(
    desk: Desk, changes: dict[str, str], texts: list[str]
) -> None:
    """Nothing is made, and no secret is shown."""
    desk.changes = changes

    with pytest.raises(PlatformError) as error:
        await desk.apply()

    assert [text for text in texts if text not in str(error.value)] == []
    assert "canary" not in str(error.value)
    assert desk.state.changing_calls == []


async def test_the_tenant_may_be_given_with_its_underscore(desk: Desk) -> None:
    """As AEP shows it in paths; it is the same tenant."""
    desk.changes["AEP_TENANT_ID"] = "_acme"

    assert len(await desk.plan()) == 8


async def test_every_call_has_the_headers_that_adobe_documents(desk: Desk) -> None:
    """Adobe's OpenAPI files and "Schema Registry API guide": each has its headers, and no others.

    The registry has media types of its own. A call without a body has no Content-Type.
    """
    seen: list[Call] = []

    def notes(call: Call) -> bool:
        seen.append(call)
        return False

    desk.platform.fail(Drop.BEFORE, matching=notes, times=None)
    await desk.apply(Choices(profile=True))
    only(desk.state.flows).enabled = False
    await desk.apply(Choices(profile=True))

    assert {call.method for call in seen} == {"GET", "POST", "PATCH"}
    for call in seen:
        assert call.headers["x-gw-ims-org-id"] == "ACME@AdobeOrg"
        assert ("Content-Type" in call.headers) is bool(call.body), call.path
        if "/schemaregistry/" not in call.path:
            assert call.headers["Accept"] == "application/json", call.path
    assert any(call.path.endswith("/action") for call in seen)


async def test_another_sandbox_is_another_world(desk: Desk) -> None:
    """What is made goes into the sandbox of the settings, and is found there only."""
    await desk.apply()
    desk.changes["AEP_SANDBOX"] = "dev"

    steps = await desk.apply()

    assert {step.action for step in steps} == {Action.CREATE}
    assert len(desk.platform.states["dev"].flows) == 1


async def test_nobody_there_is_told(desk: Desk) -> None:
    """No server at AEP_PLATFORM_URL, none at AEP_IMS_URL: each is named after some tries."""
    desk.changes["AEP_PLATFORM_URL"] = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(OutOfReach, match=r"in 3 tries.*AEP_PLATFORM_URL"):
        await desk.plan()

    desk.changes.clear()
    desk.aep.faults.add(token_endpoint_down())
    with pytest.raises(OutOfReach, match="AEP_IMS_URL"):
        await desk.plan()


NEEDS = {
    Permission.MANAGE_IDENTITY_NAMESPACES: [],
    Permission.MANAGE_SCHEMAS: [Kind.NAMESPACE],
    Permission.MANAGE_DATASETS: [Kind.NAMESPACE, Kind.FIELD_GROUP, Kind.SCHEMA],
    Permission.MANAGE_SOURCES: [Kind.NAMESPACE, Kind.FIELD_GROUP, Kind.SCHEMA, Kind.DATASET],
}


@pytest.mark.parametrize(("permission", "made"), NEEDS.items())
async def test_a_missing_permission_is_named(
    desk: Desk, permission: Permission, made: list[Kind]
) -> None:
    """What was made before it was needed is told; with the permission the next run goes on."""
    desk.platform.permissions.discard(permission)

    with pytest.raises(PlatformError) as error:
        await desk.apply()

    assert f"the permission {permission}" in str(error.value)
    assert "Permissions > Roles" in str(error.value)
    assert actions(desk.told) == [(Action.CREATE, kind) for kind in made]
    assert {step.id for step in desk.told} == ids_of(desk.state)

    desk.platform.permissions.add(permission)
    steps = await desk.apply()
    assert [step.kind for step in steps if step.action is Action.KEEP] == made


async def test_profile_needs_a_permission_of_its_own(desk: Desk) -> None:
    """A dataset of Profile takes Manage Profiles, too."""
    desk.platform.permissions.discard(Permission.MANAGE_PROFILES)

    with pytest.raises(PlatformError, match="Manage Profiles"):
        await desk.apply(Choices(profile=True))


async def test_a_plan_needs_only_to_look(desk: Desk) -> None:
    """Whoever may view, but change nothing and list no sandboxes, may plan."""
    desk.platform.permissions.intersection_update(
        {
            Permission.VIEW_SCHEMAS,
            Permission.VIEW_DATASETS,
            Permission.VIEW_IDENTITY_NAMESPACES,
            Permission.VIEW_SOURCES,
        }
    )

    assert {step.action for step in await desk.plan()} == {Action.CREATE}


async def test_without_the_list_a_wrong_sandbox_is_still_told(desk: Desk) -> None:
    """Where the sandboxes may not be listed, the refusal names the one that was meant."""
    desk.platform.permissions.discard(Permission.VIEW_SANDBOXES)
    desk.changes["AEP_SANDBOX"] = "test"

    with pytest.raises(PlatformError, match="the sandbox test"):
        await desk.plan()

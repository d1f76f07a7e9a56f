"""Credentials, organisation, sandbox, permissions: errors name the cause and the next step."""

from __future__ import annotations

import json

import pytest

from local.aep import token_endpoint_down
from local.aep_platform import Answering, Call, Delay, Drop, Permission
from local.functions import free_port
from pendo_aep.provisioning import errors
from pendo_aep.provisioning.desired import Choices
from pendo_aep.provisioning.errors import PlatformError, Unreachable, explain, read_problem
from pendo_aep.provisioning.plan import Action
from pendo_aep.provisioning.resource import Kind
from tests.cases import Case, cases
from tests.unit.provisioning.harness import Harness, actions, ids_of, only


@pytest.mark.parametrize("case", cases("aep_rejections"))
def test_a_rejection_says_what_to_do(case: Case) -> None:
    """One line with the action, the cause, what AEP said, and the next step."""
    body = case.get("text") or json.dumps(case["body"])
    problem = read_problem(body.encode())

    action, needs = "create the schema 'x'", errors.Permission.MANAGE_SCHEMAS
    text = explain(case["status"], problem, action, needs, "dev")

    assert text.startswith("create the schema 'x': ")
    assert [said for said in case["says"] if said not in text] == []
    assert text.isprintable()


def test_a_long_answer_is_cut() -> None:
    """AEP may answer with pages of text."""
    assert len(read_problem(json.dumps({"detail": "x" * 5000}).encode()).detail) == 400


@pytest.mark.parametrize(
    ("overrides", "texts"),
    [
        pytest.param({"AEP_CLIENT_SECRET": "canary"}, ["refuses the credentials"], id="secret"),
        pytest.param({"AEP_CLIENT_ID": "canary-id"}, ["refuses the credentials"], id="client"),
        pytest.param({"AEP_IMS_ORG_ID": "OTHER@AdobeOrg"}, ["AEP_IMS_ORG_ID"], id="organisation"),
        pytest.param({"AEP_SANDBOX": "test"}, ["sandbox test", "one of: dev, prod"], id="sandbox"),
        pytest.param(
            {"AEP_TENANT_ID": "_other"}, ["is other", "is acme", "AEP_IMS_ORG"], id="tenant"
        ),
    ],
)
async def test_wrong_settings_are_named(
    harness: Harness, overrides: dict[str, str], texts: list[str]
) -> None:
    """Nothing is created, and no secret is shown."""
    harness.overrides = overrides

    with pytest.raises(PlatformError) as error:
        await harness.apply()

    assert [text for text in texts if text not in str(error.value)] == []
    assert "canary" not in str(error.value)
    assert harness.state.changing_calls == []


async def test_calls_have_the_headers_that_adobe_documents(harness: Harness) -> None:
    """Adobe's OpenAPI files and "Schema Registry API guide": each call has its headers, no others.

    The registry has media types of its own. A call without a body has no Content-Type. The tenant
    may be set with its underscore, as AEP shows it in paths.
    """
    seen: list[Call] = []

    def record(call: Call) -> bool:
        seen.append(call)
        return False

    harness.platform.fail(Drop.BEFORE, matching=record, times=None)
    harness.overrides["AEP_TENANT_ID"] = "_acme"
    await harness.apply(Choices(profile=True))
    only(harness.state.flows).enabled = False
    await harness.apply(Choices(profile=True))

    assert {call.method for call in seen} == {"GET", "POST", "PATCH"}
    for call in seen:
        assert call.headers["x-gw-ims-org-id"] == "ACME@AdobeOrg"
        assert ("Content-Type" in call.headers) is bool(call.body), call.path
        if "/schemaregistry/" not in call.path:
            assert call.headers["Accept"] == "application/json", call.path
    assert any(call.path.endswith("/action") for call in seen)


async def test_sandboxes_are_separate(harness: Harness) -> None:
    """Resources are created in the sandbox of the settings, and found there only."""
    await harness.apply()
    harness.overrides["AEP_SANDBOX"] = "dev"

    steps = await harness.apply()

    assert {step.action for step in steps} == {Action.CREATE}
    assert len(harness.platform.states["dev"].flows) == 1


async def test_an_unreachable_server_is_named(harness: Harness) -> None:
    """No server at AEP_PLATFORM_URL, none at AEP_IMS_URL: each is named after some tries."""
    harness.overrides["AEP_PLATFORM_URL"] = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable, match=r"in 3 tries.*AEP_PLATFORM_URL"):
        await harness.plan()

    harness.overrides.clear()
    harness.aep.faults.add(token_endpoint_down())
    with pytest.raises(Unreachable, match="AEP_IMS_URL"):
        await harness.plan()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answering(429, None, {"Retry-After": "0"}), id="throttled"),
        pytest.param(Answering(500), id="failing"),
        pytest.param(Answering(503, None, {"Retry-After": "1"}), id="unavailable"),
    ],
)
async def test_transient_errors_are_retried(harness: Harness, answer: Answering) -> None:
    """A read and a write that AEP does not answer are made again."""
    harness.platform.fail(answer, matching=lambda call: call.method == "GET")
    harness.platform.fail(answer, after=2)

    steps = await harness.apply()

    assert {step.action for step in steps} == {Action.CREATE}
    assert (len(harness.state.schemas), len(harness.state.datasets)) == (1, 1)


async def test_a_long_retry_after_ends_the_run(harness: Harness) -> None:
    """Nobody waits at a terminal for an hour: the error says how long AEP asks to wait."""
    harness.platform.fail(Answering(429, None, {"Retry-After": "500"}), after=1)

    with pytest.raises(Unreachable, match=r"asks to wait 500 s.*run the command again"):
        await harness.apply()

    assert actions(harness.reported) == [(Action.CREATE, Kind.NAMESPACE)]


async def test_a_revoked_token_is_renewed(harness: Harness) -> None:
    """A token that is revoked during a run costs one more call."""

    def revoke(call: Call) -> bool:
        if call.path.endswith("/dataSets") and call.method == "POST":
            harness.aep.revoke_tokens()
        return False

    harness.platform.fail(Delay(0), matching=revoke)

    await harness.apply()

    assert harness.aep.tokens_issued == 2
    assert len(harness.state.flows) == 1


NAMESPACES = [Kind.NAMESPACE, Kind.NAMESPACE]  # of visitors, of anonymous ones


@pytest.mark.parametrize(
    ("permission", "created"),
    [
        (Permission.MANAGE_IDENTITY_NAMESPACES, []),
        (Permission.MANAGE_SCHEMAS, NAMESPACES),
        (Permission.MANAGE_DATASETS, [*NAMESPACES, Kind.FIELD_GROUP, Kind.SCHEMA]),
        (Permission.MANAGE_SOURCES, [*NAMESPACES, Kind.FIELD_GROUP, Kind.SCHEMA, Kind.DATASET]),
    ],
)
async def test_a_missing_permission_is_named(
    harness: Harness, permission: Permission, created: list[Kind]
) -> None:
    """What was created before is reported; with the permission, the next run continues."""
    harness.platform.permissions.discard(permission)

    with pytest.raises(PlatformError) as error:
        await harness.apply()

    assert f"the permission {permission}" in str(error.value)
    assert "Permissions > Roles" in str(error.value)
    assert actions(harness.reported) == [(Action.CREATE, kind) for kind in created]
    assert {step.id for step in harness.reported} == ids_of(harness.state)

    harness.platform.permissions.add(permission)
    steps = await harness.apply()
    assert [step.kind for step in steps if step.action is Action.KEEP] == created


async def test_profile_needs_its_own_permission(harness: Harness) -> None:
    """A dataset of Profile takes Manage Profiles, too."""
    harness.platform.permissions.discard(Permission.MANAGE_PROFILES)

    with pytest.raises(PlatformError, match="Manage Profiles"):
        await harness.apply(Choices(profile=True))


async def test_a_plan_needs_only_view_permissions(harness: Harness) -> None:
    """Not even that to list sandboxes; then a call to a wrong sandbox names it."""
    harness.platform.permissions.intersection_update(
        {
            Permission.VIEW_SCHEMAS,
            Permission.VIEW_DATASETS,
            Permission.VIEW_IDENTITY_NAMESPACES,
            Permission.VIEW_SOURCES,
        }
    )
    assert {step.action for step in await harness.plan()} == {Action.CREATE}

    harness.overrides["AEP_SANDBOX"] = "test"
    with pytest.raises(PlatformError, match="the sandbox test"):
        await harness.plan()

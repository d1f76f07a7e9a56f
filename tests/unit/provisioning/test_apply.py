"""Apply: what is missing is made, what differs is changed, and nothing else is touched."""

from __future__ import annotations

import asyncio

import pytest

from local.aep_platform import Answering, Call, Delay
from pendo_aep.provisioning.choices import Choices
from pendo_aep.provisioning.errors import OutOfReach
from pendo_aep.provisioning.part import Kind
from pendo_aep.provisioning.plan import Action
from tests.unit.provisioning.desk import ALL_CHOICES, Desk, actions, ids_of, only, shape
from tests.unit.provisioning.test_plan import own_fields


@pytest.mark.parametrize("choices", ALL_CHOICES.values(), ids=ALL_CHOICES)
async def test_the_second_time_changes_nothing(desk: Desk, choices: Choices) -> None:
    """All that was made is told with its id; a second run only finds it as it should be."""
    first = await desk.apply(choices)
    calls, made = len(desk.state.changing_calls), shape(desk.state)

    second = await desk.apply(choices)

    assert {step.action for step in first} <= {Action.CREATE, Action.CHANGE}
    assert {step.id for step in first} == ids_of(desk.state)
    assert actions(second) == [(Action.KEEP, kind) for kind in dict.fromkeys(s.kind for s in first)]
    assert (len(desk.state.changing_calls), shape(desk.state)) == (calls, made)


async def test_other_names_live_side_by_side(desk: Desk) -> None:
    """A second set-up in the same sandbox shares the namespace and nothing else."""
    await desk.apply()

    steps = await desk.apply(Choices(source="http", format="xdm", name="Pendo.Test_2-b"))

    kept = [step.kind for step in steps if step.action is Action.KEEP]
    assert kept == [Kind.NAMESPACE]
    assert len(desk.state.flows) == 2


async def test_a_new_row_of_the_mapping_table_is_added(desk: Desk) -> None:
    """The field group gets the field, the mapping set a version, and the flow that version."""
    await desk.apply()
    made = shape(desk.state)
    del own_fields(desk.state)["visitorId"]
    mapping_set = only(desk.state.mapping_sets)
    mapping_set.versions[0]["mappings"].pop()

    steps = await desk.apply()

    assert [step for step in actions(steps) if step[0] is not Action.KEEP] == [
        (Action.CHANGE, Kind.FIELD_GROUP),
        (Action.CHANGE, Kind.MAPPING_SET),
        (Action.CHANGE, Kind.FLOW),
    ]
    mapping = only(desk.state.flows).body["transformations"][0]
    assert mapping == {
        "name": "Mapping",
        "params": {"mappingId": mapping_set.id, "mappingVersion": 1},
    }
    assert shape(desk.state)["field groups"] == made["field groups"]
    assert shape(desk.state)["mapping sets"] == made["mapping sets"]


async def test_a_schema_that_lacks_our_field_group_gets_it(desk: Desk) -> None:
    """What somebody has made by the same title, of the right class, is completed."""
    await desk.apply()
    made = shape(desk.state)["schemas"]
    schema = only(desk.state.schemas)
    schema.body["meta:extends"].remove(schema.body["allOf"].pop()["$ref"])

    steps = await desk.apply()

    assert (Action.CHANGE, Kind.SCHEMA) in actions(steps)
    assert shape(desk.state)["schemas"] == made


async def test_profile_can_be_added_later(desk: Desk) -> None:
    """Schema and dataset are enabled for it; nothing else changes, and it is not taken away."""
    await desk.apply()

    later = await desk.apply(Choices(profile=True))
    without = await desk.apply()

    changed = [step for step in actions(later) if step[0] is not Action.KEEP]
    assert changed == [(Action.CHANGE, Kind.SCHEMA), (Action.CHANGE, Kind.DATASET)]
    assert only(desk.state.datasets).body["tags"] == {
        "managedBy": ["pendo-to-aep"],
        "unifiedProfile": ["enabled:true"],
        "unifiedIdentity": ["enabled:true"],
    }
    assert {step.action for step in without} == {Action.KEEP}


async def test_a_disabled_flow_is_enabled(desk: Desk) -> None:
    """A flow that is there but takes no data is not as it should be."""
    await desk.apply()
    only(desk.state.flows).enabled = False

    steps = await desk.apply()

    assert (Action.CHANGE, Kind.FLOW) in actions(steps)
    assert only(desk.state.flows).enabled


async def test_a_standard_namespace_will_do(desk: Desk) -> None:
    """Where visitor ids are e-mail addresses, Adobe's own namespace takes them."""
    desk.changes["AEP_IDENTITY_NAMESPACE"] = "Email"

    steps = await desk.apply()

    assert actions(steps)[0] == (Action.KEEP, Kind.NAMESPACE)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answering(429, None, {"Retry-After": "0"}), id="throttled"),
        pytest.param(Answering(500), id="failing"),
        pytest.param(Answering(503, None, {"Retry-After": "1"}), id="unavailable"),
    ],
)
async def test_trouble_passes(desk: Desk, answer: Answering) -> None:
    """A reading call and a changing call that AEP is not up to are made again."""
    desk.platform.fail(answer, matching=lambda call: call.method == "GET")
    desk.platform.fail(answer, after=2)

    steps = await desk.apply()

    assert {step.action for step in steps} == {Action.CREATE}
    assert (len(desk.state.schemas), len(desk.state.datasets)) == (1, 1)


async def test_a_pause_that_is_too_long_is_told(desk: Desk) -> None:
    """Nobody waits in front of a terminal for an hour: it ends, and says how long AEP wants."""
    desk.platform.fail(Answering(429, None, {"Retry-After": "500"}), after=1)

    with pytest.raises(OutOfReach, match=r"left alone for 500 s.*run the command again"):
        await desk.apply()

    assert actions(desk.told) == [(Action.CREATE, Kind.NAMESPACE)]


async def test_trouble_that_does_not_pass_is_told(desk: Desk) -> None:
    """Patience ends after some tries; what was made until then has been told."""

    def is_schema(call: Call) -> bool:
        return call.path.endswith("/tenant/schemas")

    desk.platform.fail(Answering(500), matching=is_schema, times=None)

    with pytest.raises(OutOfReach, match="list schemas: no answer from AEP in 3 tries"):
        await desk.apply()


async def test_a_revoked_token_is_renewed(desk: Desk) -> None:
    """A token that ends in the middle costs one more call, not the run."""

    def revokes(call: Call) -> bool:
        if call.path.endswith("/dataSets") and call.method == "POST":
            desk.aep.revoke_tokens()
        return False

    desk.platform.fail(Delay(0), matching=revokes)

    await desk.apply()

    assert desk.aep.tokens_issued == 2
    assert len(desk.state.flows) == 1


async def test_an_interrupted_call_is_told(desk: Desk) -> None:
    """Who presses Ctrl-C in the middle of a call is told what may have been made."""
    struck = asyncio.Event()

    def strikes(call: Call) -> bool:
        if call.method == "POST" and call.path.endswith("/dataSets"):
            struck.set()
        return struck.is_set()

    desk.platform.fail(Delay(30), matching=strikes)
    applying = asyncio.create_task(desk.apply())
    await asyncio.wait_for(struck.wait(), 10)
    applying.cancel()

    with pytest.raises(asyncio.CancelledError):
        await applying
    assert actions(desk.told)[-1] == (Action.UNKNOWN, Kind.DATASET)

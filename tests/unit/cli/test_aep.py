"""`aep` as people run it: what it prints, what it asks, and its exit code."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from local.aep import AepServer, RawMode
from local.aep_platform import Answering, Call, Delay, Permission, PlatformServer, expressions
from local.postgres import PostgresServer
from local.query_service import PostgresLake
from local.samples import load_samples
from pendo_aep.cli import aep_messages
from tests.unit.cli.cli_harness import AepCli, env_file, run, start
from tests.unit.provisioning.harness import (
    BROWSER,
    Harness,
    apply_version_before,
    is_preview,
    new_harness,
    only,
    own_fields,
    remove_group,
)
from tests.unit.provisioning.test_account_relationship import ACCOUNTS, add_accounts

pytestmark = pytest.mark.process

PROG = "pendo-aep aep"
EVENTS = [sample for sample in load_samples() if sample.event is not None]


@pytest.fixture
async def cli() -> AsyncIterator[AepCli]:
    """On an empty platform, where the credential may not use Query Service."""
    async with new_harness() as adobe:
        adobe.platform.permissions.discard(Permission.MANAGE_QUERIES)
        yield AepCli(adobe)


@pytest.fixture
def other_mapping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes AEP map what depends on `matches_regex` otherwise than `deliver` does."""
    never = replace(expressions.FUNCTIONS["matches_regex"], body=lambda *_: False)
    monkeypatch.setitem(cast("dict[str, Any]", expressions.FUNCTIONS), "matches_regex", never)


async def test_from_nothing_to_settings_and_back(cli: AepCli) -> None:
    """Plan, apply, show, destroy: each prints one line for each step that it did or would do."""
    plan = await cli.run("plan")
    assert plan.code == 0, plan.err
    lines = plan.out.splitlines()
    assert lines[0] == "+ identity namespace 'PendoVisitor': create"
    assert lines[-5:] == [
        "AEP can never take back or change:",
        "    identity namespace PendoVisitor, type Cross_device",
        "    identity namespace PendoAnonymous, type Cookie",
        "    the types of the new fields of 'Pendo Events Fields'",
        "11 to be created or changed",
    ]
    assert cli.adobe.state.changing_calls == []

    applied = await cli.run("apply", "--no-wait", "--test-event")
    assert applied.code == 0, applied.err
    assert "\n".join(lines[-5:-1]) in applied.err
    flow_id = only(cli.adobe.state.flows).id
    assert f"+ dataflow 'Pendo Events' ({flow_id}): created" in applied.out
    assert f"AEP_FLOW_ID={flow_id}\n" in applied.out
    one, other = only(cli.adobe.state.datasets).rows
    assert f"test events {one['_id']}, {other['_id']}: accepted" in applied.out
    assert "    AEP: 207 {" in applied.out
    assert "test events: most likely stored: AEP has stored 2 records since" in applied.out
    assert "could not be asked: connect to Query Service: no permission" in applied.err
    assert "you may stop it" in applied.err

    again = await cli.run("plan")
    assert "take back" not in again.out
    assert again.out.splitlines()[-1] == "nothing to do"

    shown = await cli.run("show")
    assert shown.code == 0
    assert shown.err.splitlines() == [
        "pendo-aep aep show: friendly names of 12 of Adobe's fields",
        "pendo-aep aep show: data usage labels: I1 on _acme.pendo.visitorId; I2 on "
        "_acme.pendo.accountId, _acme.pendo.nps.reason, _acme.pendo.answers[*].value, "
        "_acme.pendo.answers[*].text, "
        "_acme.pendo.properties",
    ]
    assert set(shown.out.splitlines()) <= set(applied.out.splitlines())

    kept = await cli.run("destroy", "--yes")
    assert kept.code == 1  # there is data: not all has gone
    gone = await cli.run("destroy", "--yes", "--delete-data", "Pendo Events")
    assert gone.code == 0, gone.err
    assert "- dataset 'Pendo Events'" in gone.out
    assert cli.adobe.state.datasets == {}
    for ran in (plan, applied, again, shown, kept, gone):
        assert cli.adobe.aep.client_secret not in ran.out + ran.err


async def test_json_is_one_object_a_line(cli: AepCli) -> None:
    """Steps, settings, and the result of the test events, for programs."""
    plan = await cli.run("plan", "--json")
    assert plan.lines[0] == {
        "action": "create",
        "done": False,
        "kind": "identity namespace",
        "name": "PendoVisitor",
        "id": None,
        "details": [],
    }
    assert [*plan.lines[-1]] == ["irrevocable"]
    assert plan.lines[-1]["irrevocable"][1] == "identity namespace PendoAnonymous, type Cookie"

    applied = await cli.run("apply", "--json", "--no-wait", "--test-event")
    *steps, environment, trial, end = applied.lines
    assert {(step["action"], step["done"]) for step in steps} == {("create", True)}
    assert (trial["taken"], trial["status"], trial["environment"]) == (True, 207, {})
    assert [trial["testEvent"]] == trial["testEvents"][:1]
    assert len(trial["testEvents"]) == 2
    assert (end["testEvents"], end["end"], end["failed"]) == (trial["testEvents"], "likely", [])
    assert (await cli.run("show", "--json")).lines == [environment]
    assert environment["environment"]["AEP_FORMAT"] == "raw"


async def test_the_mode_of_raw_events_is_found(cli: AepCli) -> None:
    """If the inlet does not accept plain batches, the settings for `deliver` are printed last."""
    aep = cli.adobe.aep
    aep.behaviour = replace(aep.behaviour, raw_modes=frozenset({RawMode.ENVELOPED}))

    ran = await cli.run("apply", "--no-wait", "--test-event", "--follow", "0")

    assert ran.code == 0, ran.err
    dataset_id = only(cli.adobe.state.datasets).id
    assert ran.out.splitlines()[-3:] == [
        "AEP_RAW_MODE=enveloped",
        f"AEP_DATASET_ID={dataset_id}",
        "AEP_IMS_ORG_ID=ACME@AdobeOrg",
    ]
    aep.behaviour = replace(aep.behaviour, raw_modes=frozenset())
    refused = await cli.run("apply", "--no-wait", "--test-event")
    assert refused.code == 1
    assert "not accepted in any mode of AEP_RAW_MODE" in refused.out


async def test_a_file_holds_the_choices(cli: AepCli, tmp_path: Path) -> None:
    """One file serves apply, show and destroy. If the inlet requires a token, apply says so."""
    file = tmp_path / "aep.toml"
    file.write_text('source = "http"\nformat = "xdm"\nauthenticated = true\nname = "Two"\n')
    given = ("--file", str(file))

    applied = await cli.run("apply", "--no-wait", "--test-event", "--follow", "0", *given)
    assert applied.code == 0, applied.err
    assert "deliver also needs AEP_CLIENT_ID and AEP_CLIENT_SECRET" in applied.err
    assert len(only(cli.adobe.state.datasets).rows) == 2

    shown = await cli.run("show", *given)
    assert "AEP_FORMAT=xdm\n" in shown.out
    assert (await cli.run("show")).code == 1
    destroyed = await cli.run("destroy", "--yes", "--delete-data", "Two", *given)
    assert destroyed.code == 0, destroyed.err


async def test_destroy_asks(cli: AepCli) -> None:
    """It shows what it would delete; any answer but yes, or none, changes nothing."""
    await cli.adobe.apply()
    calls = len(cli.adobe.state.changing_calls)

    for answer in ("", "y\n", "no\n"):
        asked = await cli.run("destroy", types=answer)
        assert asked.code == 1
        assert "- dataflow 'Pendo Events'" in asked.err
        assert "in the sandbox prod; type yes to continue: " in asked.err
        assert asked.err.endswith("nothing was deleted: answer yes, or give --yes\n")
    assert len(cli.adobe.state.changing_calls) == calls

    done = await cli.run("destroy", types="yes\n")
    assert done.code == 0, done.err
    assert cli.adobe.state.flows == {}


async def test_apply_waits_for_a_new_flow(cli: AepCli) -> None:
    """Until the flow is as old as --wait says; a second run does not wait again."""
    first = await cli.run("apply", "--wait", "1.5")
    assert first.code == 0, first.err
    assert f"{PROG} apply: waiting " in first.err

    flow = only(cli.adobe.state.flows)
    flow.created = flow.updated = flow.created - 300_000
    second = await cli.run("apply")
    assert (second.code, second.err) == (0, "")


async def test_an_upgrade_says_how_to_pause_and_when_to_resume(cli: AepCli) -> None:
    """Before it changes a dataflow in use: how to stop `deliver`. Afterwards: when to resume."""
    await apply_version_before(cli.adobe)
    flow = only(cli.adobe.state.flows)
    flow.created = flow.updated = flow.created - 300_000
    given = {"PUSH_SUBSCRIPTION": "mine"}

    planned = await cli.run("plan", **given)
    applied = await cli.run("apply", "--wait", "1.5", **given)

    assert (planned.code, applied.code) == (0, 0)
    assert f"~ dataflow 'Pendo Events' ({flow.id}): change\n    the mapping\n" in planned.out
    assert planned.out.splitlines()[-1] == "7 to be created or changed"
    assert planned.err.startswith(f"{PROG} plan: the dataflow changes, ")
    paused, waited, resumed = (
        applied.err.index('modify-push-config mine --push-endpoint=""\n'),
        applied.err.index(f"{PROG} apply: waiting "),
        applied.err.index(f"{PROG} apply: deliver may resume in 15 minutes"),
    )
    assert paused < waited < resumed
    assert applied.err.endswith(
        "modify-push-config mine --push-endpoint=ADDRESS --push-auth-service-account=ACCOUNT\n"
    )
    assert "send no events with them for another 15 minutes" in applied.err


async def test_without_a_wait_it_says_when_delivery_may_resume(cli: AepCli) -> None:
    """It enables a disabled flow and adds no fields, so only Adobe's 5 minutes remain."""
    await cli.adobe.apply()
    only(cli.adobe.state.flows).enabled = False

    applied = await cli.run("apply", "--no-wait")

    assert applied.code == 0, applied.err
    assert f"{PROG} apply: deliver may resume in 5 minutes, " in applied.err
    assert "new fields" not in applied.err
    assert aep_messages.how_to_resume("mine", 0.0).startswith("deliver may resume now, ")


async def test_a_change_of_texts_needs_no_wait(cli: AepCli) -> None:
    """Only new fields and a changed dataflow need Adobe's minutes."""
    await cli.adobe.apply()
    for resource in (only(cli.adobe.state.flows), only(cli.adobe.state.field_groups)):
        resource.created = resource.updated = 0
    del own_fields(cli.adobe.state)["visitorId"]["description"]

    applied = await cli.run("apply")

    assert applied.code == 0, applied.err
    assert "    descriptions and suggested values of 1 field\n" in applied.out
    assert "waiting" not in applied.err


async def test_a_refusal_of_labels_is_no_failure(cli: AepCli) -> None:
    """`apply` says what to do by hand, also in a run that is piped."""
    cli.adobe.platform.permissions.discard(Permission.MANAGE_LABELS)

    applied = await cli.run("apply", "--no-wait")

    assert applied.code == 0, applied.err
    assert "! data usage labels 'Pendo Events': AEP refuses this; the rest works" in applied.out
    assert "    label the fields by hand (docs/aep-ui.md" in applied.out
    none = await cli.run("plan", "--labels", "none")
    assert none.out.splitlines()[-1] == "nothing to do"
    refuse = Answering(404, {"title": "Not licensed"})
    cli.adobe.platform.fail(refuse, matching=lambda c: "/descriptors" in c.path, times=None)
    plan = await cli.run("plan")
    assert (plan.code, plan.out.splitlines()[-1]) == (0, "nothing to do")
    assert "! friendly names 'Pendo Events': AEP refuses this" in plan.out
    as_json = await cli.run("apply", "--no-wait", "--json")
    assert ("refused", "data usage labels") in {
        (line.get("action"), line.get("kind")) for line in as_json.lines
    }


async def test_a_relationship_with_accounts_is_planned_made_and_shown(cli: AepCli) -> None:
    """The plan says what of it can be taken back, and what to do if there is no such schema."""
    failed = await cli.run("plan", "--profile", "--account-schema", "x")
    assert failed.code == 1
    assert "--account-schema x does not exist in the sandbox prod: give its $id" in failed.err

    add_accounts(cli.adobe.state)
    choice = ("--profile", "--account-schema", ACCOUNTS)

    plan = await cli.run("plan", *choice)
    assert "+ account relationship 'Pendo Events': create" in plan.out
    assert aep_messages.ACCOUNT_RELATIONSHIP in plan.err

    assert (await cli.run("apply", "--no-wait", *choice)).code == 0
    assert aep_messages.ACCOUNT_RELATIONSHIP not in (await cli.run("plan", *choice)).err
    shown = await cli.run("show")
    assert f"account relationship: /_acme/pendo/accountId refers to {ACCOUNTS}" in shown.err


@pytest.mark.parametrize(("answer", "code", "does_it"), [("yes", 0, True), ("no", 1, False)])
async def test_on_a_terminal_it_asks_whether_delivery_is_paused(
    cli: AepCli, answer: str, code: int, does_it: bool
) -> None:
    """Any answer but yes changes nothing. A script is not asked."""
    await apply_version_before(cli.adobe)
    before = len(cli.adobe.state.changing_calls)

    ran = await cli.run_typing(f"{answer}\n", "apply", "--no-wait")

    assert (ran.code, "is delivery paused? type yes to continue: " in ran.err) == (code, True)
    assert (len(cli.adobe.state.changing_calls) > before) is does_it


async def test_a_plan_advises_an_authenticated_inlet(cli: AepCli) -> None:
    """As Adobe does for personal data; not if the inlet is authenticated already."""
    for choices in ((), ("--source", "http")):
        ran = await cli.run("plan", *choices)
        assert ran.err.startswith(f"{PROG} plan: the inlet is open: ")
    closed = await cli.run("plan", "--source", "http", "--authenticated")
    assert (closed.code, closed.err) == (0, "")


async def test_a_missing_field_group_of_adobes_is_reported(cli: AepCli) -> None:
    """`plan` and `apply` name the fields that are left out; everything else is created."""
    remove_group(cli.adobe.state, BROWSER)

    for action in (("plan",), ("apply", "--no-wait")):
        ran = await cli.run(*action)
        assert ran.code == 0, ran.err
        assert "does not have Adobe's field group 'Environment Details'" in ran.err
        assert "the fields of environment are left out" in ran.err
        assert "set AEP_PROPERTIES=all" in ran.err  # the browser stands in no other field


async def test_a_plan_checks_the_mapping(cli: AepCli) -> None:
    """If asked, and once the schema exists; the result is one line, also as JSON."""
    early = await cli.run("plan", "--check")
    assert early.code == 0
    assert "the mapping was not checked: AEP needs the schema" in early.err

    await cli.adobe.apply()
    checked = await cli.run("plan", "--check")
    assert checked.code == 0, checked.err
    assert checked.out.endswith(f"AEP maps all {len(EVENTS)} sample events as deliver does\n")
    as_json = await cli.run("plan", "--check", "--json")
    assert as_json.lines[-1] == {"mappingCheck": "same", "samples": len(EVENTS)}


@pytest.mark.usefixtures("other_mapping")
async def test_a_mapping_that_differs_stops_plan_and_apply(cli: AepCli) -> None:
    """Both values of each field are shown. As the schema exists, nothing is created."""
    await apply_version_before(cli.adobe)
    await cli.adobe.apply()
    only(cli.adobe.state.mapping_sets).versions[-1]["mappings"].pop()
    before = len(cli.adobe.state.changing_calls)

    for action in (("plan", "--check"), ("apply", "--no-wait")):
        ran = await cli.run(*action)
        assert ran.code == 1
        assert 'nps_submitted_comment: surveyResponse.surveyID: pendo-to-aep makes "' in ran.err
        assert ", AEP makes nothing\n" in ran.err
    assert "apply --no-check does so anyway" in ran.err
    assert len(cli.adobe.state.changing_calls) == before

    assert (await cli.run("apply", "--no-wait", "--no-check")).code == 0


@pytest.mark.usefixtures("other_mapping")
async def test_a_mapping_that_differs_stops_the_first_apply_after_the_schema(cli: AepCli) -> None:
    """AEP tries a mapping only with a schema. Nothing that uses the mapping is created."""
    ran = await cli.run("apply", "--no-wait")

    assert ran.code == 1
    assert [line[:1] for line in ran.out.splitlines()] == ["+", "+", "+", "+"]
    assert len(cli.adobe.state.schemas) == 1
    assert (cli.adobe.state.datasets, cli.adobe.state.mapping_sets) == ({}, {})


async def test_without_a_preview_apply_warns_and_continues(cli: AepCli) -> None:
    """Adobe may deny that call to a credential: the set-up does not need it."""
    cli.adobe.platform.fail(Answering(403), matching=is_preview, times=None)

    ran = await cli.run("apply", "--no-wait")

    assert ran.code == 0, ran.err
    assert f"{PROG} apply: the mapping was not checked: try the mapping set: " in ran.err


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        pytest.param({"AEP_CLIENT_ID": ""}, "AEP_CLIENT_ID: is missing", id="none"),
        pytest.param({"AEP_SANDBOX": "a b"}, "AEP_SANDBOX: ", id="sandbox"),
        pytest.param({"AEP_PLATFORM_URL": "http://x.example"}, "AEP_PLATFORM_URL: must", id="url"),
        pytest.param({"AEP_CLIENT_SECRET": "canary"}, "Adobe refuses the credentials", id="secret"),
    ],
)
async def test_a_wrong_setting_is_named(
    cli: AepCli, settings: dict[str, str], problem: str
) -> None:
    """One line, no traceback, no secret, exit code 1."""
    ran = await cli.run("plan", **settings)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"{PROG} plan: {problem}")
    assert ran.err.count("\n") == 1
    assert "canary" not in ran.err


async def test_the_settings_of_the_functions_do_not_matter(cli: AepCli, tmp_path: Path) -> None:
    """Neither a missing project nor a wrong setting of `deliver` stops `plan`, also in a file."""
    settings = cli.settings(GOOGLE_CLOUD_PROJECT="", AEP_FORMAT="nonsense")
    in_file = env_file(tmp_path / "my.env", settings)

    for ran in (
        await run("aep", "plan", settings=settings),
        await run("aep", "plan", "--config", in_file, settings={}),
    ):
        assert ran.code == 0, ran.err


async def test_incompatible_choices_are_reported(cli: AepCli) -> None:
    """Before a token is requested."""
    ran = await cli.run("apply", "--format", "xdm")

    assert (ran.code, ran.out) == (1, "")
    assert "choose --source http for --format xdm" in ran.err
    assert cli.adobe.aep.tokens_issued == 0


async def test_an_interrupted_apply_has_shown_what_it_did(cli: AepCli) -> None:
    """SIGTERM: exit code 130, every step so far, and the next run completes it."""
    reached = asyncio.Event()

    def is_dataset_or_later(call: Call) -> bool:
        if call.method == "POST" and call.path.endswith("/dataSets"):
            reached.set()
        return reached.is_set()

    cli.adobe.platform.fail(Delay(30), matching=is_dataset_or_later)
    async with start("aep", "apply", "--no-wait", settings=cli.settings()) as process:
        await asyncio.wait_for(reached.wait(), 60)
        process.send_signal(signal.SIGTERM)
        out, err = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == 130
    assert err.decode().endswith(f"{PROG} apply: interrupted\n")
    signs = [line[:1] for line in out.decode().splitlines()]
    assert signs == ["+", "+", "+", "+", "?"]
    cli.adobe.platform.heal()
    assert (await cli.run("apply", "--no-wait")).code == 0


async def test_following_can_be_interrupted(cli: AepCli) -> None:
    """Ctrl-C: the settings are there by then. The test events are lost: it would take an hour."""
    cli.adobe.platform.record_faults.lost = lambda _: True
    looked = asyncio.Event()

    def is_look(call: Call) -> bool:
        if call.path.endswith("/catalog/batches") and "createdAfter" in call.query:
            looked.set()
        return False

    cli.adobe.platform.fail(Delay(0), matching=is_look, times=None)
    arguments = ("aep", "apply", "--no-wait", "--test-event", "--follow", "1h")
    async with start(*arguments, settings=cli.settings()) as process:
        await asyncio.wait_for(looked.wait(), 60)
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == 130
    assert "AEP_ENDPOINT=" in out.decode()
    assert "for 1 hour at most" in err.decode()
    assert err.decode().endswith(f"{PROG} apply: interrupted\n")


async def test_a_test_event_that_fails_later_fails_the_command(cli: AepCli) -> None:
    """AEP accepts it, and cannot store it: exit 1 and the reason."""

    def change_schema(call: Call) -> bool:
        if call.method == "POST" and call.path.endswith("/flows"):
            own_fields(cli.adobe.state)["visitorId"]["pattern"] = "^nobody$"
        return False

    cli.adobe.platform.fail(Delay(0), matching=change_schema, times=None)
    ran = await cli.run("apply", "--no-wait", "--test-event", "--follow", "1m")

    assert ran.code == 1
    assert "accepted; whether they are stored shows later" in ran.out
    assert "failed in validation: DCVS-1103-400" in ran.out
    assert "does not match pattern" in ran.out
    assert "pendo-to-aep-test" not in ran.out


async def test_query_service_shows_that_test_events_are_stored(postgres: PostgresServer) -> None:
    """Both, by their ids: no count has to do."""
    lake = PostgresLake(postgres)
    try:
        async with AepServer() as aep, PlatformServer(aep, lake=lake) as platform:
            cli = AepCli(Harness(aep, platform))
            ran = await cli.run("apply", "--json", "--no-wait", "--test-event", "--follow", "1m")
    finally:
        lake.drop_tables()
        lake.close()

    assert (ran.code, "could not be asked" in ran.err) == (0, False), ran.err
    end = ran.lines[-1]
    assert (end["end"], end["stored"]) == ("stored", sorted(end["testEvents"]))

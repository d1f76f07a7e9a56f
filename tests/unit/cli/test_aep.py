"""`aep` as people run it: what it prints, what it asks, and its exit code."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from local.aep import RawMode
from local.aep_platform import Answering, Call, Delay
from local.aep_platform.data_prep import functions
from local.samples import load_samples
from pendo_aep.cli import aep_advice
from tests.unit.cli.aep_desk import Terminal
from tests.unit.provisioning.harness import (
    BROWSER,
    apply_old_table,
    is_preview,
    new_harness,
    only,
    remove_group,
)

PROG = "python -m pendo_aep aep"
EVENTS = [sample for sample in load_samples() if sample.event is not None]


@pytest.fixture
async def terminal(tmp_path: Path) -> AsyncIterator[Terminal]:
    """On an empty platform."""
    async with new_harness() as desk:
        yield Terminal(desk, tmp_path)


async def test_from_nothing_to_settings_and_back(terminal: Terminal) -> None:
    """Plan, apply, show, destroy: each says in a line what is, was or would be done."""
    plan = await terminal.run("plan")
    assert plan.code == 0, plan.err
    lines = plan.out.splitlines()
    assert lines[0] == "+ identity namespace 'PendoVisitor': create"
    assert lines[-1] == "8 to be made or changed"
    assert terminal.desk.state.changing_calls == []

    applied = await terminal.run("apply", "--no-wait", "--test-event")
    assert applied.code == 0, applied.err
    flow_id = only(terminal.desk.state.flows).id
    assert f"+ dataflow 'Pendo Events' ({flow_id}): created" in applied.out
    assert f"AEP_FLOW_ID={flow_id}\n" in applied.out
    one, other = only(terminal.desk.state.datasets).rows
    assert f"test events {one['_id']}, {other['_id']}: taken" in applied.out
    assert "    AEP: 207 {" in applied.out

    again = await terminal.run("plan")
    assert again.out.splitlines()[-1] == "nothing to be done"

    shown = await terminal.run("show")
    assert (shown.code, shown.err) == (0, "")
    assert set(shown.out.splitlines()) <= set(applied.out.splitlines())

    kept = await terminal.run("destroy", "--yes")
    assert kept.code == 1  # there is data: not all has gone
    gone = await terminal.run("destroy", "--yes", "--delete-data", "Pendo Events")
    assert gone.code == 0, gone.err
    assert "- dataset 'Pendo Events'" in gone.out
    assert terminal.desk.state.datasets == {}
    for ran in (plan, applied, again, shown, kept, gone):
        assert terminal.desk.aep.client_secret not in ran.out + ran.err


async def test_json_is_one_object_a_line(terminal: Terminal) -> None:
    """Steps, settings, and what became of the test event, for programs."""
    plan = await terminal.run("plan", "--json")
    assert plan.lines[0] == {
        "action": "create",
        "done": False,
        "kind": "identity namespace",
        "name": "PendoVisitor",
        "id": None,
        "details": [],
    }

    applied = await terminal.run("apply", "--json", "--no-wait", "--test-event")
    *steps, environment, trial = applied.lines
    assert {(step["action"], step["done"]) for step in steps} == {("create", True)}
    assert (trial["taken"], trial["status"], trial["environment"]) == (True, 207, {})
    assert [trial["testEvent"]] == trial["testEvents"][:1]
    assert len(trial["testEvents"]) == 2
    assert (await terminal.run("show", "--json")).lines == [environment]
    assert environment["environment"]["AEP_FORMAT"] == "raw"


async def test_the_mode_of_raw_events_is_found(terminal: Terminal) -> None:
    """Where the inlet takes no raw events in batches, what `deliver` needs is printed last."""
    aep = terminal.desk.aep
    aep.behaviour = replace(aep.behaviour, raw_modes=frozenset({RawMode.ENVELOPED}))

    ran = await terminal.run("apply", "--no-wait", "--test-event")

    assert ran.code == 0, ran.err
    dataset_id = only(terminal.desk.state.datasets).id
    assert ran.out.splitlines()[-3:] == [
        "AEP_RAW_MODE=enveloped",
        f"AEP_DATASET_ID={dataset_id}",
        "AEP_IMS_ORG_ID=ACME@AdobeOrg",
    ]
    aep.behaviour = replace(aep.behaviour, raw_modes=frozenset())
    refused = await terminal.run("apply", "--no-wait", "--test-event")
    assert refused.code == 1
    assert "not taken, in none of the modes of AEP_RAW_MODE" in refused.out


async def test_a_file_holds_the_choices(terminal: Terminal) -> None:
    """The same file for apply, show and destroy; the inlet wants a token, which is told."""
    file = terminal.folder / "aep.toml"
    file.write_text('source = "http"\nformat = "xdm"\nauthenticated = true\nname = "Two"\n')
    given = ("--file", str(file))

    applied = await terminal.run("apply", "--no-wait", "--test-event", *given)
    assert applied.code == 0, applied.err
    assert "deliver needs AEP_CLIENT_ID and AEP_CLIENT_SECRET" in applied.err
    assert len(only(terminal.desk.state.datasets).rows) == 2

    shown = await terminal.run("show", *given)
    assert "AEP_FORMAT=xdm\n" in shown.out
    assert (await terminal.run("show")).code == 1
    destroyed = await terminal.run("destroy", "--yes", "--delete-data", "Two", *given)
    assert destroyed.code == 0, destroyed.err


async def test_destroy_asks(terminal: Terminal) -> None:
    """It shows what will go; anything but yes, and no answer at all, change nothing."""
    await terminal.desk.apply()
    calls = len(terminal.desk.state.changing_calls)

    for answer in ("", "y\n", "no\n"):
        asked = await terminal.run("destroy", types=answer)
        assert asked.code == 1
        assert "- dataflow 'Pendo Events'" in asked.err
        assert "in the sandbox prod; type yes to go on: " in asked.err
        assert asked.err.endswith("nothing was deleted: answer yes, or give --yes\n")
    assert len(terminal.desk.state.changing_calls) == calls

    done = await terminal.run("destroy", types="yes\n")
    assert done.code == 0, done.err
    assert terminal.desk.state.flows == {}


async def test_apply_waits_for_a_new_flow(terminal: Terminal) -> None:
    """Until the flow is as old as --wait says, and no longer the next time."""
    first = await terminal.run("apply", "--wait", "1.5")
    assert first.code == 0, first.err
    assert first.err.startswith(f"{PROG} apply: waiting ")

    flow = only(terminal.desk.state.flows)
    flow.created = flow.updated = flow.created - 300_000
    second = await terminal.run("apply")
    assert (second.code, second.err) == (0, "")


async def test_an_upgrade_tells_how_to_pause_and_when_to_go_on(terminal: Terminal) -> None:
    """Before a dataflow in use is changed: stop `deliver`. Afterwards: when it may go on."""
    await apply_old_table(terminal.desk)
    flow = only(terminal.desk.state.flows)
    flow.created = flow.updated = flow.created - 300_000
    given = {"PUSH_SUBSCRIPTION": "mine"}

    planned = await terminal.run("plan", **given)
    applied = await terminal.run("apply", "--wait", "1.5", **given)

    assert (planned.code, applied.code) == (0, 0)
    assert f"~ dataflow 'Pendo Events' ({flow.id}): change\n    the mapping\n" in planned.out
    assert planned.out.splitlines()[-1] == "3 to be made or changed"
    assert planned.err.startswith(f"{PROG} plan: the dataflow changes, ")
    paused, waited, resumed = (
        applied.err.index('modify-push-config mine --push-endpoint=""\n'),
        applied.err.index(f"{PROG} apply: waiting "),
        applied.err.index(f"{PROG} apply: deliver may go on in 15 minutes"),
    )
    assert paused < waited < resumed
    assert applied.err.endswith(
        "modify-push-config mine --push-endpoint=ADDRESS --push-auth-service-account=ACCOUNT\n"
    )
    assert "send no events with them for another 15 minutes" in applied.err


async def test_without_a_wait_it_says_when_delivery_may_go_on(terminal: Terminal) -> None:
    """A disabled flow is enabled; no fields were added, so Adobe's 5 minutes are all there is."""
    await terminal.desk.apply()
    only(terminal.desk.state.flows).enabled = False

    applied = await terminal.run("apply", "--no-wait")

    assert applied.code == 0, applied.err
    assert f"{PROG} apply: deliver may go on in 5 minutes, " in applied.err
    assert "new fields" not in applied.err
    assert aep_advice.resume("mine", 0.0).startswith("deliver may go on now, ")


@pytest.mark.parametrize(("answer", "code", "changes"), [("yes", 0, 3), ("no", 1, 0)])
async def test_on_a_terminal_it_asks_whether_delivery_is_paused(
    terminal: Terminal, answer: str, code: int, changes: int
) -> None:
    """Anything but yes changes nothing. A script is not asked."""
    await apply_old_table(terminal.desk)
    before = len(terminal.desk.state.changing_calls)

    ran = await terminal.run_typing(f"{answer}\n", "apply", "--no-wait")

    assert (ran.code, "is delivery paused? type yes to go on: " in ran.err) == (code, True)
    assert len(terminal.desk.state.changing_calls) - before == changes


async def test_a_plan_advises_an_authenticated_inlet(terminal: Terminal) -> None:
    """Adobe does so for personal data; who has asked for one is not told again."""
    for choices in ((), ("--source", "http")):
        ran = await terminal.run("plan", *choices)
        assert ran.err.startswith(f"{PROG} plan: the inlet is open: ")
    closed = await terminal.run("plan", "--source", "http", "--authenticated")
    assert (closed.code, closed.err) == (0, "")


async def test_a_missing_field_group_of_adobes_is_told(terminal: Terminal) -> None:
    """Which fields are left out is said by `plan` and `apply`; the rest is made."""
    remove_group(terminal.desk.state, BROWSER)

    for action in (("plan",), ("apply", "--no-wait")):
        ran = await terminal.run(*action)
        assert ran.code == 0, ran.err
        assert "no field group 'Environment Details' of Adobe's" in ran.err
        assert "the fields of environment are left out" in ran.err


async def test_a_plan_checks_the_mapping(terminal: Terminal) -> None:
    """On request, once the schema is there; the result is a line, also as JSON."""
    early = await terminal.run("plan", "--check")
    assert early.code == 0
    assert "the mapping was not checked: AEP needs the schema" in early.err

    await terminal.desk.apply()
    checked = await terminal.run("plan", "--check")
    assert checked.code == 0, checked.err
    assert checked.out.endswith(f"AEP maps all {len(EVENTS)} sample events as deliver does\n")
    as_json = await terminal.run("plan", "--check", "--json")
    assert as_json.lines[-1] == {"mappingCheck": "same", "samples": len(EVENTS)}


async def test_a_mapping_that_differs_stops_plan_and_apply(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sides are shown for each field. With the schema there, nothing at all is made."""
    await apply_old_table(terminal.desk)
    await terminal.desk.apply()
    only(terminal.desk.state.mapping_sets).versions[-1]["mappings"].pop()
    before = len(terminal.desk.state.changing_calls)
    never = replace(functions.FUNCTIONS["matches_regex"], body=lambda *_: False)
    monkeypatch.setitem(cast("dict[str, Any]", functions.FUNCTIONS), "matches_regex", never)

    for action in (("plan", "--check"), ("apply", "--no-wait")):
        ran = await terminal.run(*action)
        assert ran.code == 1
        assert 'poll_submitted_single: surveyResponse.surveyID: pendo-to-aep makes "' in ran.err
        assert ", AEP makes nothing\n" in ran.err
    assert "apply --no-check does so" in ran.err
    assert len(terminal.desk.state.changing_calls) == before

    assert (await terminal.run("apply", "--no-wait", "--no-check")).code == 0


async def test_a_mapping_that_differs_stops_the_first_apply_after_the_schema(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AEP tries a mapping only with a schema. Nothing that uses one is made."""
    never = replace(functions.FUNCTIONS["matches_regex"], body=lambda *_: False)
    monkeypatch.setitem(cast("dict[str, Any]", functions.FUNCTIONS), "matches_regex", never)

    ran = await terminal.run("apply", "--no-wait")

    assert ran.code == 1
    assert [line[:1] for line in ran.out.splitlines()] == ["+", "+", "+"]
    assert len(terminal.desk.state.schemas) == 1
    assert (terminal.desk.state.datasets, terminal.desk.state.mapping_sets) == ({}, {})


async def test_without_a_preview_apply_warns_and_goes_on(terminal: Terminal) -> None:
    """Adobe may close that call to a credential: it is no part of what the set-up needs."""
    terminal.desk.platform.fail(Answering(403), matching=is_preview, times=None)

    ran = await terminal.run("apply", "--no-wait")

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
    terminal: Terminal, settings: dict[str, str], problem: str
) -> None:
    """One line, no traceback, no secret, exit code 1."""
    ran = await terminal.run("plan", **settings)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"{PROG} plan: {problem}")
    assert ran.err.count("\n") == 1
    assert "canary" not in ran.err


async def test_the_settings_of_the_functions_do_not_matter(terminal: Terminal) -> None:
    """Neither a missing project nor a wrong setting of `deliver` keeps anybody from looking."""
    ran = await terminal.run("plan", GOOGLE_CLOUD_PROJECT="", AEP_FORMAT="nonsense")

    assert ran.code == 0, ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["apply", "--source", "kafka"], id="source"),
        pytest.param(["apply", "--wait", "-1"], id="wait"),
        pytest.param(["show", "--profile"], id="not of this action"),
        pytest.param([], id="no action"),
    ],
)
async def test_wrong_usage_exits_with_2(terminal: Terminal, arguments: list[str]) -> None:
    """As argparse does it, with the usage."""
    ran = await terminal.run(*arguments)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("usage: python -m pendo_aep ")


async def test_choices_that_do_not_go_together_are_told(terminal: Terminal) -> None:
    """Before anybody is asked for a token."""
    ran = await terminal.run("apply", "--format", "xdm")

    assert (ran.code, ran.out) == (1, "")
    assert "choose --source http for --format xdm" in ran.err
    assert terminal.desk.aep.tokens_issued == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_apply_has_told_what_it_did(
    terminal: Terminal, number: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM: 130, with every step until then, and the next run goes on."""
    struck = asyncio.Event()

    def strikes(call: Call) -> bool:
        if call.method == "POST" and call.path.endswith("/dataSets"):
            struck.set()
        return struck.is_set()

    terminal.desk.platform.fail(Delay(30), matching=strikes)
    async with terminal.start("apply", "--no-wait") as process:
        await asyncio.wait_for(struck.wait(), 20)
        process.send_signal(number)
        out, err = await asyncio.wait_for(process.communicate(), 20)

    assert process.returncode == 130
    assert err.decode() == f"{PROG} apply: interrupted\n"
    signs = [line[:1] for line in out.decode().splitlines()]
    assert signs == ["+", "+", "+", "?"]
    terminal.desk.platform.heal()
    assert (await terminal.run("apply", "--no-wait")).code == 0

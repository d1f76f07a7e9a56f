"""`aep` as people run it: what it prints, what it asks, and its exit code."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.platform import Call, Delay
from tests.commands.aep_desk import Terminal
from tests.platform.desk import new_desk, only
from tests.platform.test_upgrade import apply_old_table

PROG = "python -m pendo_aep aep"


@pytest.fixture
async def terminal(tmp_path: Path) -> AsyncIterator[Terminal]:
    """On an empty platform."""
    async with new_desk() as desk:
        yield Terminal(desk, tmp_path)


async def test_from_nothing_to_settings_and_back(terminal: Terminal) -> None:
    """Plan, apply, show, destroy: each says in a line what is, was or would be done."""
    plan = await terminal.run("plan")
    assert (plan.code, plan.err) == (0, "")
    lines = plan.out.splitlines()
    assert lines[0] == "+ identity namespace 'PendoVisitor': create"
    assert lines[-1] == "8 to be made or changed"
    assert terminal.desk.state.changing_calls == []

    applied = await terminal.run("apply", "--no-wait", "--test-event")
    assert applied.code == 0, applied.err
    flow_id = only(terminal.desk.state.flows).id
    assert f"+ dataflow 'Pendo Events' ({flow_id}): created" in applied.out
    assert f"AEP_FLOW_ID={flow_id}\n" in applied.out
    (row,) = only(terminal.desk.state.datasets).rows
    assert f"test event {row['_id']}: taken" in applied.out
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
    assert (trial["taken"], trial["status"]) == (True, 207)
    assert (await terminal.run("show", "--json")).lines == [environment]
    assert environment["environment"]["AEP_FORMAT"] == "raw"


async def test_a_file_holds_the_choices(terminal: Terminal) -> None:
    """The same file for apply, show and destroy; the inlet wants a token, which is told."""
    file = terminal.folder / "aep.toml"
    file.write_text('source = "http"\nformat = "xdm"\nauthenticated = true\nname = "Two"\n')
    given = ("--file", str(file))

    applied = await terminal.run("apply", "--no-wait", "--test-event", *given)
    assert applied.code == 0, applied.err
    assert "deliver needs AEP_CLIENT_ID and AEP_CLIENT_SECRET" in applied.err
    assert len(only(terminal.desk.state.datasets).rows) == 1

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


async def test_an_upgrade_asks_for_a_pause(terminal: Terminal) -> None:
    """Who changes a dataflow is told to pause delivery, and `apply` waits as for a new one."""
    await apply_old_table(terminal.desk)
    flow = only(terminal.desk.state.flows)
    flow.created = flow.updated = flow.created - 300_000

    planned = await terminal.run("plan")
    applied = await terminal.run("apply", "--wait", "1.5")

    assert (planned.code, applied.code) == (0, 0)
    assert f"~ dataflow 'Pendo Events' ({flow.id}): change\n    the mapping\n" in planned.out
    assert planned.out.splitlines()[-1] == "3 to be made or changed"
    assert planned.err.startswith(f"{PROG} plan: the dataflow changes, ")
    told, waited = applied.err.splitlines()[:2]
    assert told.startswith(f"{PROG} apply: the dataflow changes, ")
    assert waited.startswith(f"{PROG} apply: waiting ")


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

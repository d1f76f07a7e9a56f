"""The scripts from an empty project to a pipeline and back, by the real gcloud.

One story is told once, each chapter a run of a script; the tests look at what it left behind. It
has never been run on Google itself.
"""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest

from local.functions import PROJECT
from pendo_aep.gcp.deploy.transient import TRANSIENT
from pendo_aep.gcp.doctor.examination import judge
from pendo_aep.gcp.doctor.finding import Verdict
from tests.unit.gcp.deploy.rights import Row, failure_of_deployment, looks_without, member
from tests.unit.gcp.deploy.site import AEP_SECRET, FILLED, ID, NUMBER
from tests.unit.gcp.deploy.story import STRANGER, THEIR_EXCLUSION, Story, outline, table, tell

# What a deployment ends with, without the right of whoever builds and deploys.
_FUNCTIONS_AGENT = f"service-{NUMBER}@gcf-admin-robot.iam.gserviceaccount.com"
_DEPLOY = {
    "pendo-build": {
        "roles/logging.logWriter": "lacks roles/logging.logWriter",
        "roles/artifactregistry.writer": "lacks roles/artifactregistry.writer",
        "roles/storage.objectViewer": "must grant Storage Object Viewer permission",
    },
    _FUNCTIONS_AGENT: {"roles/cloudfunctions.serviceAgent": "Unable to retrieve the repository"},
}

# What the story does not wait for, of all that is known to pass: the looks before have used up the
# refusals of new APIs, and no two edits of the same overlap.
UNMET = {
    "Google switches the new API on",
    "another edit of the alerting policies ends",
    "another change of the same permissions ends",
}

pytestmark = [pytest.mark.emulator, pytest.mark.slow]


@pytest.fixture(scope="module")
async def story(emulator: str, gcloud: str, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Told once for all tests."""
    return await tell(emulator, gcloud, tmp_path_factory)


async def test_it_is_made_and_says_what_to_paste(story: Story) -> None:
    """The run succeeds, names the address and the command that shows the secret, not the secret."""
    made = story.made

    assert made.code == 0, made.err
    assert made.state.functions["receive"].body["serviceConfig"]["uri"] in made.out
    show = f"gcloud secrets versions access latest --secret=pendo-webhook-secrets --project={ID}"
    assert show in made.out


async def test_no_secret_is_on_a_command_line_or_shown(story: Story) -> None:
    """Neither the one that was given, nor the one that was made, nor a new one."""
    held = {name: secret.versions for name, secret in story.changed.state.secrets.items()}
    values = [version.data.decode() for versions in held.values() for version in versions]

    assert AEP_SECRET in values
    assert "canary-new" in values
    assert len(values) == 3
    for chapter in (story.made, story.again, story.changed, *story.broken):
        seen = f"{chapter.out}{chapter.err}{chapter.commands}"
        assert not [value for value in values if value in seen]


async def test_topics_and_subscriptions_are_as_they_should_be(story: Story) -> None:
    """Retention, endpoint, token, deadlines, pauses, dead letters, expiry: as the server has it."""
    expected = table("deployed")

    assert story.made.topics == expected["topics"]
    assert story.made.subscriptions == expected["subscriptions"]


async def test_functions_have_their_settings_and_mounts(story: Story) -> None:
    """Entry point, account, numbers, settings and secrets are exactly those of the table."""
    functions = story.made.state.functions
    shown = {
        name: {
            "entryPoint": one.body["buildConfig"]["entryPoint"],
            "runtime": one.body["buildConfig"]["runtime"],
            **{k: v for k, v in one.body["serviceConfig"].items() if k not in {"uri", "service"}},
        }
        for name, one in functions.items()
    }

    assert shown == table("deployed")["functions"]
    assert story.made.state.jobs["pendo-drain"] == table("deployed")["job"]


async def test_what_watches_is_there(story: Story) -> None:
    """A metric, an alert and the dashboard of each file, with the names of this deployment."""
    state, folder = story.made.state, PROJECT / "deploy" / "monitoring"
    (channel,) = state.channels.values()

    assert channel["labels"] == {"email_address": FILLED["ALERT_EMAIL"]}
    assert state.metrics.keys() == {path.stem for path in folder.glob("metrics/*.json")}
    assert len(state.alert_policies) == len([*folder.glob("alerts/*.json")]) > 0
    assert all(
        p["notificationChannels"] == [channel["name"]] for p in state.alert_policies.values()
    )
    assert len(state.dashboards) == 1
    written = json.dumps([*state.metrics.values(), *state.alert_policies.values()])
    assert "pendo-events-deliver" in written
    assert "${" not in written + json.dumps([*state.dashboards.values()])
    conditions = {
        policy["displayName"]: policy["conditions"][0] for policy in state.alert_policies.values()
    }
    expire = conditions["pendo-to-aep: dead letters expire"]["conditionThreshold"]
    silence = conditions["pendo-to-aep: no webhook comes"]["conditionAbsent"]
    assert expire["thresholdValue"] == 0.75 * 31 * 86_400
    assert silence["duration"] == "43200s"  # ALERT_NO_WEBHOOK_HOURS=12


async def test_request_logs_of_successes_are_excluded(story: Story) -> None:
    """Made, mended when somebody changed it, removed at the end; another's exclusion stays."""
    [made] = story.made.state.exclusions.values()
    changed, gone = story.changed.state.exclusions, story.gone.state.exclusions

    assert 'log_id("run.googleapis.com/requests")' in made["filter"]
    assert all(f'"{name}"' in made["filter"] for name in ("receive", "deliver", "drain"))
    assert "httpRequest.status<300" in made["filter"]
    assert changed == {made["name"]: made, "theirs": THEIR_EXCLUSION}
    assert gone == {"theirs": THEIR_EXCLUSION}


async def test_rights_are_those_of_the_table_and_no_others(story: Story) -> None:
    """Each role has the call that needs it beside it; nobody has one more."""
    listed = table("rights")

    assert all(row["needed"] for row in listed)
    assert story.made.state.rights == {(r["thing"], r["role"], member(r)) for r in listed}


@pytest.mark.parametrize(
    "row", [pytest.param(r, id=f"{r['who']}, {r['role']}, {r['thing']}") for r in table("rights")]
)
async def test_without_a_right_a_named_check_fails(story: Story, row: Row) -> None:
    """Each right is needed: without it the doctor names it, or no deployment succeeds."""
    if row["who"] in _DEPLOY:  # nothing to see from outside, until something is deployed
        assert _DEPLOY[row["who"]][row["role"]] in failure_of_deployment(story.made.state, row)
        return

    findings = judge(story.deployment, looks_without(story.looks, row))

    (named,) = (f for f in findings if f.verdict is not Verdict.OK)
    assert f"--role={row['role']}" in named.mend
    assert f"--member={member(row)}" in named.mend


async def test_the_doctor_finds_all_well(story: Story) -> None:
    """What the script makes is what the doctor wants."""
    findings = judge(story.deployment, story.looks)

    assert [f for f in findings if f.verdict is not Verdict.OK] == []
    assert len(findings) > 50


async def test_again_it_changes_nothing(story: Story) -> None:
    """The second run looks, and issues no call that changes anything."""
    assert story.again.code == 0
    assert story.again.changes == []
    assert "nothing to change" in story.again.err
    assert story.again.state == story.made.state
    assert story.again.out == story.made.out


async def test_what_differs_is_changed_and_nothing_else(story: Story) -> None:
    """Other values in the config, and what somebody did by hand: a command each, as listed."""
    assert story.changed.code == 0, story.changed.err
    assert sorted(map(_told, story.changed.changing)) == sorted(table("changed")["commands"])
    assert story.changed.subscriptions["pendo-events-deliver"]["retryPolicy"] == {
        "minimumBackoff": "10s",
        "maximumBackoff": "500s",
    }
    assert "secretVolumes" not in story.changed.state.functions["deliver"].body["serviceConfig"]
    assert story.changed.state.rights >= story.made.state.rights - {
        r for r in story.made.state.rights if r[0] == "secrets/aep-client-secret"
    }


async def test_only_our_own_accounts_may_call_deliver_and_drain(story: Story) -> None:
    """Whoever was let in by hand is removed and named; receive stays public."""
    rights = story.changed.state.rights
    callers = {
        name: {member for thing, _, member in rights if thing == f"services/{name}"}
        for name in ("receive", "deliver", "drain")
    }

    assert callers == {
        "receive": {"allUsers"},
        "deliver": {f"serviceAccount:pendo-push@{ID}.iam.gserviceaccount.com"},
        "drain": {f"serviceAccount:pendo-scheduler@{ID}.iam.gserviceaccount.com"},
    }
    told = [line for line in story.changed.err.splitlines() if line.startswith("! ")]
    assert sorted(line.partition(", and")[0] for line in told) == [
        "! allAuthenticatedUsers has roles/run.invoker on drain",
        "! allUsers has roles/run.invoker on deliver",
        "! everybody can call drain: its IAM check is off",
        f"! {STRANGER} has roles/run.servicesInvoker on deliver",
    ]
    assert story.changed.state.unchecked == set()


async def test_where_nobody_can_be_let_in_all_else_is_deployed(story: Story) -> None:
    """An organisation forbids both ways: the run fails last, with every alert in its place."""
    refused, state = story.forbidden[0], story.forbidden[0].state

    assert refused.code == 1
    assert "invoker_iam_disabled is not currently available" in refused.err
    assert "docs/operations.md" in refused.err
    assert _names(state.alert_policies) == _names(story.changed.state.alert_policies)
    assert state.functions.keys() == story.changed.state.functions.keys()
    assert state.unchecked == set()


async def test_where_all_users_is_forbidden_the_check_is_disabled(story: Story) -> None:
    """Once that is allowed, a rerun does this alone; the next one leaves it as it is."""
    _, opened, again = story.forbidden

    assert opened.code == 0, opened.err
    assert opened.changing[-1][:3] == ["run", "services", "update"]
    assert len(opened.changes) == 1
    assert opened.state.unchecked == {"receive"}
    assert again.code == 0, again.err
    assert again.changes == []
    assert "nothing to change" in again.err


async def test_private_functions_are_deployed_as_such(story: Story) -> None:
    """Gcloud is told so; that it has no question to ask is not what keeps them private."""
    deployed = {
        command[2]: command
        for chapter in (story.made, story.changed)
        for command in chapter.commands
        if command[:2] == ["functions", "deploy"]
    }

    assert {n for n, words in deployed.items() if "--no-allow-unauthenticated" in words} == {
        "deliver",
        "drain",
    }
    ingress = {
        name: one.body["serviceConfig"]["ingressSettings"]
        for name, one in story.changed.state.functions.items()
    }
    assert ingress == {
        "receive": "ALLOW_ALL",
        "deliver": "ALLOW_INTERNAL_ONLY",
        "drain": "ALLOW_INTERNAL_ONLY",
    }


async def test_an_alert_that_is_switched_off_is_deleted(story: Story) -> None:
    """Without ALERT_NO_WEBHOOK_HOURS there is none of it; the others stay."""
    name = "pendo-to-aep: no webhook comes"
    made = _names(story.made.state.alert_policies)
    left = _names(story.changed.state.alert_policies)

    assert made - left == {name}
    assert not left - made


async def test_interrupted_and_run_again_it_ends_the_same(story: Story) -> None:
    """Calls that fail in the middle, a slow Google: it ends as if nothing had happened."""
    first, second, last = story.broken

    assert (first.code, second.code, last.code) == (1, 1, 0), last.err
    assert "it is to fail here" in first.err
    assert len(first.changes) < len(second.changes)
    assert outline(last) == outline(story.made)
    told = [line for run in story.broken for line in run.err.splitlines() if line[:2] == ". "]
    met = {one.awaited for one in TRANSIENT if any(one.awaited in line for line in told)}
    assert met == {one.awaited for one in TRANSIENT} - UNMET


async def test_destroy_asks_and_says_what_would_be_lost(story: Story) -> None:
    """With messages waiting it counts them; without a yes, nothing is deleted."""
    asked = story.asked

    assert asked.code == 1
    assert asked.changes == []
    assert "pendo-events-deliver: 3 undelivered events would be lost" in asked.err
    assert "pendo-events-dead-kept: 2 dead letters would be lost" in asked.err
    assert "pendo-events-drain: how many undelivered events would be lost is not known" in asked.err
    assert "nothing was deleted" in asked.err


async def test_destroy_leaves_nothing(story: Story) -> None:
    """No topic, subscription, function, account, secret, job, metric, alert or right of ours."""
    gone = story.gone
    state = gone.state
    agents = {
        "pubsub": f"service-{NUMBER}@gcp-sa-pubsub.iam.gserviceaccount.com",
        "cloudfunctions": _FUNCTIONS_AGENT,
    }

    assert gone.code == 0, gone.err
    assert (gone.topics, gone.subscriptions) == ({}, {})
    assert {**state.functions, **state.accounts, **state.secrets, **state.jobs} == {}
    assert {**state.metrics, **state.dashboards, **state.alert_policies, **state.channels} == {}
    # What Google gives its own accounts in every project.
    assert state.rights == {
        ("project", f"roles/{service}.serviceAgent", f"serviceAccount:{address}")
        for service, address in agents.items()
    }


async def test_destroy_again_changes_nothing(story: Story) -> None:
    """Where nothing is, there is nothing to delete, and no failure."""
    assert story.gone_again.code == 0, story.gone_again.err
    assert story.gone_again.changes == []


async def test_every_flag_of_the_scripts_has_been_run(story: Story) -> None:
    """Whatever flag stands in the source, the real gcloud has taken it in one of these runs."""
    written = set()
    for path in (PROJECT / "pendo_aep" / "gcp" / "deploy").glob("*.py"):
        if path.stem == "__main__":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and str(node.value).startswith("--"):
                written.add(str(node.value).partition("=")[0])
    run = {word.partition("=")[0] for command in story.commands for word in command}

    assert len(written) > 40
    assert written - run == set()


def _names(policies: dict[str, Any]) -> set[str]:
    return {policy["displayName"] for policy in policies.values()}


def _told(command: list[str]) -> str:
    """A command as the table has it: a deployment by its function, a file by its flag."""
    if command[:2] == ["functions", "deploy"]:
        return " ".join(command[:3])
    # An older gcloud has alerting policies in alpha alone.
    plain = command[1:] if command[0] == "alpha" else command
    words = [word.partition("=")[0] if "-from-file=" in word else word for word in plain]
    return " ".join(word for word in words if not word.startswith("projects/"))

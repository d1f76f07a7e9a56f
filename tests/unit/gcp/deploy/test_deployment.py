"""The scripts from an empty project to a pipeline and back, by the real gcloud.

The scripts run once for all tests, which look at what each run left behind. They have never run on
Google itself.
"""

from __future__ import annotations

import ast
import io
import json
import tarfile
from typing import Any

import pytest

from local.functions import PROJECT
from pendo_aep.gcp.deploy import reconcile_job
from pendo_aep.gcp.doctor.finding import Verdict
from pendo_aep.gcp.doctor.run import check_deployment
from pendo_aep.gcp.gcloud import TRANSIENT
from tests.unit.gcp.deploy.deploy_env import AEP_SECRET, FILLED, ID, NUMBER, RECONCILE_SECRET
from tests.unit.gcp.deploy.deploy_lifecycle import (
    STRANGER,
    THEIR_EXCLUSION,
    Lifecycle,
    Row,
    failure_of_deployment,
    member,
    observations_without,
    outline,
    run_job,
    run_lifecycle,
    table,
)

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

# The transient refusals that these runs do not meet: no two edits of the same resource overlap.
UNMET = {
    "another edit of the alerting policies ends",
    "another change of the same permissions ends",
}

pytestmark = [pytest.mark.emulator, pytest.mark.slow]


@pytest.fixture(scope="module")
async def lifecycle(
    emulator: str, gcloud: str, tmp_path_factory: pytest.TempPathFactory
) -> Lifecycle:
    """Run once for all tests."""
    return await run_lifecycle(emulator, gcloud, tmp_path_factory)


async def test_it_is_deployed_and_says_what_to_paste(lifecycle: Lifecycle) -> None:
    """It shows the address, and the command that shows the secret, not the secret itself."""
    created = lifecycle.created

    assert created.code == 0, created.err
    assert created.state.functions["receive"].body["serviceConfig"]["uri"] in created.out
    show = f"gcloud secrets versions access latest --secret=pendo-webhook-secrets --project={ID}"
    assert show in created.out


async def test_no_secret_is_on_a_command_line_or_shown(lifecycle: Lifecycle) -> None:
    """Neither the one that was given, nor the one that was generated, nor a new one."""
    held = {name: secret.versions for name, secret in lifecycle.changed.state.secrets.items()}
    values = [version.decode() for versions in held.values() for version in versions]

    assert {AEP_SECRET, RECONCILE_SECRET, "canary-new"} <= {*values}
    assert len(values) == 4
    for run in (lifecycle.created, lifecycle.rerun, lifecycle.changed, *lifecycle.interrupted):
        seen = f"{run.out}{run.err}{run.commands}"
        assert not [value for value in values if value in seen]


async def test_topics_and_subscriptions_are_as_they_should_be(lifecycle: Lifecycle) -> None:
    """Retention, endpoint, token, deadlines, retries, dead letters and expiry are in the table."""
    expected = table("deployed")

    assert lifecycle.created.topics == expected["topics"]
    assert lifecycle.created.subscriptions == expected["subscriptions"]


async def test_functions_have_their_settings_and_mounts(lifecycle: Lifecycle) -> None:
    """Entry point, account, numbers, settings and secrets are exactly those of the table."""
    functions = lifecycle.created.state.functions
    shown = {
        name: {
            "entryPoint": one.body["buildConfig"]["entryPoint"],
            "runtime": one.body["buildConfig"]["runtime"],
            **{k: v for k, v in one.body["serviceConfig"].items() if k not in {"uri", "service"}},
        }
        for name, one in functions.items()
    }

    assert shown == table("deployed")["functions"]
    assert lifecycle.created.state.jobs["pendo-drain"] == table("deployed")["job"]


async def test_the_job_that_reconciles_is_deployed(lifecycle: Lifecycle) -> None:
    """From an image that was built as the account of builds; unset, it goes, with its rights."""
    created, changed = lifecycle.created.state, lifecycle.changed.state
    [[image]] = created.repositories.values()
    [job] = created.run_jobs.values()
    [container] = job["spec"]["template"]["spec"]["template"]["spec"]["containers"]

    assert run_job(job) == table("deployed")["run_job"]
    assert container["image"] == f"europe-west1-docker.pkg.dev/{ID}/pendo-to-aep/{image}"
    assert created.jobs["pendo-reconcile"] == table("deployed")["run_job_schedule"]
    assert (changed.run_jobs, changed.repositories) == ({}, {})
    assert changed.jobs.keys() == {"pendo-drain"}
    assert not {r for r in changed.rights if r[1].endswith("/pendoReconcile")}
    assert "deleted" not in changed.roles["pendoReconcile"]


async def test_gcloud_uploads_what_the_hash_of_the_image_covers(lifecycle: Lifecycle) -> None:
    """A file that is uploaded but not hashed would never be deployed again, nor one forgotten."""
    [archive] = lifecycle.created.state.uploads.values()

    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        names = {one.name.removeprefix("./") for one in opened.getmembers() if one.isfile()}
    assert names == {path.as_posix() for path in reconcile_job.uploaded_files()}


async def test_monitoring_is_deployed(lifecycle: Lifecycle) -> None:
    """A metric, an alert and the dashboard of each file, with the names of this deployment."""
    state, folder = lifecycle.created.state, PROJECT / "deploy" / "monitoring"
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


async def test_request_logs_of_successes_are_excluded(lifecycle: Lifecycle) -> None:
    """Created, restored when somebody changed it, removed at the end; another exclusion stays."""
    [created] = lifecycle.created.state.exclusions.values()
    changed = lifecycle.changed.state.exclusions

    assert 'log_id("run.googleapis.com/requests")' in created["filter"]
    assert all(f'"{name}"' in created["filter"] for name in ("receive", "deliver", "drain"))
    assert "httpRequest.status<300" in created["filter"]
    assert changed == {created["name"]: created, "theirs": THEIR_EXCLUSION}
    assert lifecycle.destroyed.state.exclusions == {"theirs": THEIR_EXCLUSION}


async def test_rights_are_those_of_the_table_and_no_others(lifecycle: Lifecycle) -> None:
    """The table names the call that needs each role; nobody has another role."""
    listed = table("rights")

    assert all(row["needed"] for row in listed)
    assert lifecycle.created.state.rights == {(r["thing"], r["role"], member(r)) for r in listed}


@pytest.mark.parametrize(
    "row", [pytest.param(r, id=f"{r['who']}, {r['role']}, {r['thing']}") for r in table("rights")]
)
async def test_without_a_right_a_named_check_fails(lifecycle: Lifecycle, row: Row) -> None:
    """Each right is needed: without it the doctor names it, or no deployment succeeds."""
    if row["who"] in _DEPLOY:  # the doctor cannot see it
        assert _DEPLOY[row["who"]][row["role"]] in failure_of_deployment(
            lifecycle.created.state, row
        )
        return

    findings = check_deployment(
        lifecycle.deployment, observations_without(lifecycle.observations, row)
    )

    (named,) = (f for f in findings if f.verdict is not Verdict.OK)
    assert f"--role={row['role']}" in named.mend
    assert f"--member={member(row)}" in named.mend


async def test_the_doctor_finds_nothing_wrong(lifecycle: Lifecycle) -> None:
    """What the script deploys is what the doctor expects."""
    findings = check_deployment(lifecycle.deployment, lifecycle.observations)

    assert [f for f in findings if f.verdict is not Verdict.OK] == []
    assert len(findings) > 50


async def test_a_rerun_changes_nothing(lifecycle: Lifecycle) -> None:
    """It only reads."""
    assert lifecycle.rerun.code == 0
    assert lifecycle.rerun.changes == []
    assert "nothing to change" in lifecycle.rerun.err
    assert lifecycle.rerun.state == lifecycle.created.state
    assert lifecycle.rerun.out == lifecycle.created.out


async def test_what_differs_is_changed_and_nothing_else(lifecycle: Lifecycle) -> None:
    """Changes of the config, and others by hand: each needs the commands that are listed."""
    assert lifecycle.changed.code == 0, lifecycle.changed.err
    assert sorted(map(_in_table, lifecycle.changed.changing)) == sorted(
        table("changed")["commands"]
    )
    assert lifecycle.changed.subscriptions["pendo-events-deliver"]["retryPolicy"] == {
        "minimumBackoff": "10s",
        "maximumBackoff": "500s",
    }
    assert "secretVolumes" not in lifecycle.changed.state.functions["deliver"].body["serviceConfig"]
    switched_off = ("secrets/aep-client-secret", "run_jobs/pendo-reconcile")
    assert lifecycle.changed.state.rights >= {
        right
        for right in lifecycle.created.state.rights
        if right[0] not in switched_off and "/roles/" not in right[1]
    }


async def test_only_our_own_accounts_may_call_deliver_and_drain(lifecycle: Lifecycle) -> None:
    """Callers that somebody added are removed and reported; `receive` stays public."""
    rights = lifecycle.changed.state.rights
    callers = {
        name: {member for thing, _, member in rights if thing == f"services/{name}"}
        for name in ("receive", "deliver", "drain")
    }

    assert callers == {
        "receive": {"allUsers"},
        "deliver": {f"serviceAccount:pendo-push@{ID}.iam.gserviceaccount.com"},
        "drain": {f"serviceAccount:pendo-scheduler@{ID}.iam.gserviceaccount.com"},
    }
    reported = [line for line in lifecycle.changed.err.splitlines() if line.startswith("! ")]
    assert sorted(line.partition(", and")[0] for line in reported) == [
        "! allAuthenticatedUsers has roles/run.invoker on drain",
        "! allUsers has roles/run.invoker on deliver",
        "! everybody can call drain: its IAM check is off",
        f"! {STRANGER} has roles/run.servicesInvoker on deliver",
    ]
    assert lifecycle.changed.state.unchecked == set()


async def test_if_receive_cannot_be_public_everything_else_is_deployed(
    lifecycle: Lifecycle,
) -> None:
    """An organisation forbids both ways: the run fails at its end, with every alert deployed."""
    refused, state = lifecycle.forbidden[0], lifecycle.forbidden[0].state

    assert refused.code == 1
    assert "invoker_iam_disabled is not currently available" in refused.err
    assert "docs/operations.md" in refused.err
    assert _names(state.alert_policies) == _names(lifecycle.changed.state.alert_policies)
    assert state.functions.keys() == lifecycle.changed.state.functions.keys()
    assert state.unchecked == set()


async def test_if_all_users_is_forbidden_the_check_is_disabled(lifecycle: Lifecycle) -> None:
    """Once that is allowed, a rerun does only this; the next one changes nothing."""
    _, opened, again = lifecycle.forbidden

    assert opened.code == 0, opened.err
    assert opened.changing[-1][:3] == ["run", "services", "update"]
    assert len(opened.changes) == 1
    assert opened.state.unchecked == {"receive"}
    assert again.code == 0, again.err
    assert again.changes == []
    assert "nothing to change" in again.err


async def test_private_functions_are_deployed_as_such(lifecycle: Lifecycle) -> None:
    """Gcloud is told explicitly, and does not only refrain from asking."""
    deployed = {
        command[2]: command
        for run in (lifecycle.created, lifecycle.changed)
        for command in run.commands
        if command[:2] == ["functions", "deploy"]
    }

    assert {n for n, words in deployed.items() if "--no-allow-unauthenticated" in words} == {
        "deliver",
        "drain",
    }
    ingress = {
        name: one.body["serviceConfig"]["ingressSettings"]
        for name, one in lifecycle.changed.state.functions.items()
    }
    assert ingress == {
        "receive": "ALLOW_ALL",
        "deliver": "ALLOW_INTERNAL_ONLY",
        "drain": "ALLOW_INTERNAL_ONLY",
    }


async def test_an_alert_that_is_switched_off_is_deleted(lifecycle: Lifecycle) -> None:
    """Without ALERT_NO_WEBHOOK_HOURS or RECONCILE_SCHEDULE: theirs go, the others stay."""
    names = {"pendo-to-aep: no webhook comes", "pendo-to-aep: not in the lake"}
    created = _names(lifecycle.created.state.alert_policies)
    left = _names(lifecycle.changed.state.alert_policies)

    assert created - left == names
    assert not left - created


async def test_interrupted_runs_end_the_same(lifecycle: Lifecycle) -> None:
    """Calls fail in the middle, and Google is slow: it ends as if nothing had happened."""
    first, second, last = lifecycle.interrupted

    assert (first.code, second.code, last.code) == (1, 1, 0), last.err
    assert "it is to fail here" in first.err
    assert len(first.changes) < len(second.changes)
    assert outline(last) == outline(lifecycle.created)
    waits = [
        line for run in lifecycle.interrupted for line in run.err.splitlines() if line[:2] == ". "
    ]
    met = {one.awaited for one in TRANSIENT if any(one.awaited in line for line in waits)}
    assert met == {one.awaited for one in TRANSIENT} - UNMET


async def test_destroy_asks_and_says_what_would_be_lost(lifecycle: Lifecycle) -> None:
    """It counts undelivered messages; without a yes, nothing is deleted."""
    declined = lifecycle.declined

    assert declined.code == 1
    assert declined.changes == []
    assert "pendo-events-deliver: 3 undelivered events would be lost" in declined.err
    assert "pendo-events-dead-kept: 2 dead letters would be lost" in declined.err
    assert (
        "pendo-events-drain: how many undelivered events would be lost is not known" in declined.err
    )
    assert "nothing was deleted" in declined.err


async def test_destroy_leaves_nothing(lifecycle: Lifecycle) -> None:
    """No topic, subscription, function, account, secret, job, metric, alert or right of ours."""
    destroyed = lifecycle.destroyed
    state = destroyed.state
    agents = {
        "pubsub": f"service-{NUMBER}@gcp-sa-pubsub.iam.gserviceaccount.com",
        "cloudfunctions": _FUNCTIONS_AGENT,
    }

    assert destroyed.code == 0, destroyed.err
    assert (destroyed.topics, destroyed.subscriptions) == ({}, {})
    assert {**state.functions, **state.accounts, **state.secrets, **state.jobs} == {}
    assert {**state.run_jobs, **state.repositories} == {}
    assert all(role["deleted"] for role in state.roles.values())
    assert {**state.metrics, **state.dashboards, **state.alert_policies, **state.channels} == {}
    # What Google gives its own accounts in every project.
    assert state.rights == {
        ("project", f"roles/{service}.serviceAgent", f"serviceAccount:{address}")
        for service, address in agents.items()
    }


async def test_destroy_again_changes_nothing(lifecycle: Lifecycle) -> None:
    """There is nothing to delete, and no failure."""
    assert lifecycle.destroyed_again.code == 0, lifecycle.destroyed_again.err
    assert lifecycle.destroyed_again.changes == []


async def test_every_flag_of_the_scripts_has_been_run(lifecycle: Lifecycle) -> None:
    """The real gcloud has accepted each flag of the source in one of these runs."""
    written = set()
    for path in (PROJECT / "pendo_aep" / "gcp" / "deploy").glob("*.py"):
        if path.stem == "__main__":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and str(node.value).startswith("--"):
                written.add(str(node.value).partition("=")[0])
    words = [word for command in lifecycle.commands for word in command]
    # The arguments of a job are one word.
    words += [part for word in words if word.startswith("--args=") for part in word.split(",")]
    run = {word.partition("=")[0] for word in words}

    assert len(written) > 40
    assert written - run == set()


def _names(policies: dict[str, Any]) -> set[str]:
    return {policy["displayName"] for policy in policies.values()}


def _in_table(command: list[str]) -> str:
    """Returns a command as the table has it: a deployment by its function, a file by its flag."""
    if command[:2] == ["functions", "deploy"]:
        return " ".join(command[:3])
    # An older gcloud has alerting policies in alpha alone.
    plain = command[1:] if command[0] == "alpha" else command
    words = [word.partition("=")[0] if "-from-file=" in word else word for word in plain]
    return " ".join(word for word in words if not word.startswith("projects/"))

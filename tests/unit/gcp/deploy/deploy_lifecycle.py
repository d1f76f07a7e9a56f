"""The lifecycle of a project, run by run: deployed, checked, changed, broken, destroyed."""

from __future__ import annotations

import asyncio
import copy
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from multidict import MultiDict

from local.emulator import Emulator
from local.gcp import GoogleServer
from local.gcp.api import ApiError, Call, Propagation
from local.gcp.functions import Functions
from local.gcp.iam import Policies, ServiceAgents
from local.gcp.state import GoogleState, Secret
from pendo_aep.gcp.doctor.deployment import Deployment, read_deployment
from pendo_aep.gcp.doctor.observe import Found, GcloudObserver, Observation, Observations
from pendo_aep.gcp.doctor.run import observe_deployment
from pendo_aep.gcp.gcloud import Command
from tests.unit.gcp.deploy.deploy_env import (
    AEP_SECRET,
    ID,
    RECONCILE_SECRET,
    DeployEnv,
    ScriptRun,
)

_DATA = Path(__file__).with_name("data")
STRANGER = "user:somebody@example.com"
THEIR_EXCLUSION = {"name": "theirs", "filter": "severity=DEBUG"}
_FOR_A_WHILE = {"title": "for a while", "expression": "request.time < timestamp('2030-01-01')"}
_SECRETS = {"AEP_CLIENT_SECRET": AEP_SECRET, "RECONCILE_CLIENT_SECRET": RECONCILE_SECRET}

Row = dict[str, str]
"""A right in `data/rights.json`: `who` has a `role` on a `thing`, which is `needed` for a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """The runs of the scripts, each with what existed at its end.

    Attributes:
        created: from nothing.
        rerun: with nothing changed.
        observations: what the doctor observed then.
        changed: after changes of the config, and others by hand.
        forbidden: an alert is missing and nobody may call `receive`, in an organisation that allows
            neither `allUsers` nor a service without its check; then the latter; then once more.
        declined: `destroy.sh`, answered with no.
        destroyed: `destroy.sh`, without a question.
        destroyed_again: once more.
        interrupted: another project, in which calls fail in the middle, until all is created.
    """

    created: ScriptRun
    rerun: ScriptRun
    deployment: Deployment
    observations: Observations
    changed: ScriptRun
    forbidden: list[ScriptRun]
    declined: ScriptRun
    destroyed: ScriptRun
    destroyed_again: ScriptRun
    interrupted: list[ScriptRun] = field(default_factory=list)

    @property
    def commands(self) -> list[list[str]]:
        """The arguments of every gcloud that ran."""
        others = (*self.forbidden, self.declined, self.destroyed, *self.interrupted)
        runs = (self.created, self.rerun, self.changed, *others)
        return [command for run in runs for command in run.commands]


def table(name: str) -> Any:
    """Returns a data file."""
    return json.loads((_DATA / f"{name}.json").read_text("utf-8"))


async def run_lifecycle(emulator: str, gcloud: str, folders: pytest.TempPathFactory) -> Lifecycle:
    """Runs all of it, which takes some minutes; the two projects at a time.

    Args:
        emulator: the address of an emulator that nothing else uses; the second project has another.
        gcloud: the path of the real one.
        folders: makes the folders of the projects.
    """
    async with Emulator() as another, asyncio.TaskGroup() as group:
        whole = group.create_task(_run_whole(emulator, gcloud, folders.mktemp("whole")))
        interrupted = group.create_task(
            _run_interrupted(another.host, gcloud, folders.mktemp("interrupted"))
        )
    return replace(whole.result(), interrupted=interrupted.result())


async def _run_whole(emulator: str, gcloud: str, folder: Path) -> Lifecycle:
    """Returns the lifecycle of the first project."""
    async with (
        GoogleServer(emulator, project=ID) as google,
        DeployEnv(google, gcloud, folder) as env,
    ):
        config = env.config()
        created = await env.run("deploy.sh", secrets=_SECRETS)
        rerun = await env.run("deploy.sh")
        with patch.dict(os.environ, env.environment):
            deployment = read_deployment(config, None, None)
            observations = await observe_deployment(deployment, GcloudObserver(ID))
        _change_by_hand(google)
        env.config(**table("changed")["config"])
        changed = await env.run("deploy.sh", secrets={"PENDO_WEBHOOK_SECRETS": "canary-new"})
        forbidden = await _run_with_org_policies(google, env)
        google.state.backlog.update({"pendo-events-deliver": 3, "pendo-events-dead-kept": 2})
        return Lifecycle(
            created=created,
            rerun=rerun,
            deployment=deployment,
            observations=observations,
            changed=changed,
            forbidden=forbidden,
            declined=await env.run("destroy.sh", stdin="no\n"),
            destroyed=await env.run("destroy.sh", "--yes"),
            destroyed_again=await env.run("destroy.sh", "--yes"),
        )


async def _run_interrupted(emulator: str, gcloud: str, folder: Path) -> list[ScriptRun]:
    """Deploys into a project in which calls fail and Google is slow."""
    async with (
        GoogleServer(emulator, project=ID) as google,
        DeployEnv(google, gcloud, folder) as env,
    ):
        env.config()
        google.propagation.refusals = 1
        runs = []
        for count in (9, 20, None):
            google.fail_after = count
            runs.append(await env.run("deploy.sh", secrets=_SECRETS))
    return runs


async def _run_with_org_policies(google: GoogleServer, env: DeployEnv) -> list[ScriptRun]:
    """Runs `deploy.sh` under the policies of an organisation."""
    state = google.state
    state.policies["services/receive"]["bindings"] = []
    del state.alert_policies[min(state.alert_policies)]
    state.restricts_domains = state.requires_invoker_iam = True
    refused = await env.run("deploy.sh")
    state.requires_invoker_iam = False
    return [refused, await env.run("deploy.sh"), await env.run("deploy.sh")]


def _change_by_hand(google: GoogleServer) -> None:
    """Changes what somebody might change in the console."""
    state = google.state
    state.policies["services/receive"]["bindings"] = []
    state.exclusions["pendo-to-aep-receive"]["filter"] = "severity=INFO"
    state.exclusions["theirs"] = THEIR_EXCLUSION
    state.policies["services/deliver"]["bindings"] += [
        {"role": "roles/run.invoker", "members": ["allUsers"]},
        {"role": "roles/run.servicesInvoker", "members": [STRANGER], "condition": _FOR_A_WHILE},
    ]
    state.policies["services/drain"]["bindings"][0]["members"].append("allAuthenticatedUsers")
    state.unchecked.add("drain")
    del state.metrics["pendo-received"]
    state.metrics["pendo-delivered"]["filter"] = "severity=ERROR"
    _one(state.alert_policies)["combiner"] = "AND"
    _one(state.dashboards)["mosaicLayout"]["columns"] = 12


def _one(things: dict[str, Any]) -> Any:
    """Returns the first by its display name."""
    return min(things.values(), key=lambda thing: str(thing["displayName"]))


def prepare_for_receive(google: GoogleServer, *, agent: bool = True) -> None:
    """Creates what `receive` needs before it is deployed, without the service agent if asked."""
    state = google.state
    policies = Policies(state, google.propagation)
    state.services |= {f"{n}.googleapis.com" for n in ("cloudfunctions", "run", "cloudbuild")}
    if agent:
        ServiceAgents(state, policies, google.propagation).create("cloudfunctions")
    for name in ("receive", "build"):
        address = f"pendo-{name}@{ID}.iam.gserviceaccount.com"
        state.accounts[address] = {"email": address, "name": address}
    state.secrets["pendo-webhook-secrets"] = Secret({}, [b"any"])
    for row in table("rights"):
        if row["who"] in {"pendo-receive", "pendo-build"}:
            policies.grant(row["thing"], row["role"], member(row))


def outline(run: ScriptRun) -> dict[str, Any]:
    """Returns what exists, without what differs between runs: Google's numbers, and secrets."""
    state = run.state
    names = {channel["name"]: channel["displayName"] for channel in state.channels.values()}
    functions = {name: dict(one.body) for name, one in state.functions.items()}
    for body in functions.values():
        body["buildConfig"] = {k: v for k, v in body["buildConfig"].items() if k != "source"}
        body["labels"] = sorted(body["labels"])  # one has the source's hash, which may be edited
    policies = {
        one["displayName"]: {
            **one,
            "name": "",
            "notificationChannels": [names[c] for c in one["notificationChannels"]],
        }
        for one in state.alert_policies.values()
    }
    return {
        "services": state.services,
        "agents": state.agents,
        "rights": state.rights,
        "accounts": state.accounts,
        "secrets": {name: len(one.versions) for name, one in state.secrets.items()},
        "functions": functions,
        "jobs": state.jobs,
        "run_jobs": {name: run_job(job) for name, job in state.run_jobs.items()},
        "repositories": state.repositories,
        "roles": state.roles,
        "metrics": state.metrics,
        "policies": policies,
        "exclusions": state.exclusions,
        "dashboards": [{**d, "name": "", "etag": ""} for d in state.dashboards.values()],
        "channels": sorted(names.values()),
        "topics": run.topics,
        "subscriptions": run.subscriptions,
    }


def run_job(job: dict[str, Any]) -> dict[str, Any]:
    """Returns how a Cloud Run job is configured, without image and what gcloud makes up."""
    task = job["spec"]["template"]["spec"]["template"]["spec"]
    containers = [
        {
            "args": one["args"],
            "env": {variable["name"]: variable["value"] for variable in one["env"]},
            "resources": {"limits": one["resources"]["limits"]},
            "mounts": [mount["mountPath"] for mount in one["volumeMounts"]],
        }
        for one in task["containers"]
    ]
    mounted = [volume["secret"] for volume in task["volumes"]]
    return {
        "containers": containers,
        "secrets": {one["secretName"]: one["items"] for one in mounted},
        **{key: task[key] for key in ("maxRetries", "serviceAccountName", "timeoutSeconds")},
    }


def member(row: Row) -> str:
    """Returns the member of a row, as policies spell it."""
    who = row["who"]
    if who == "allUsers":
        return who
    return f"serviceAccount:{who if '@' in who else f'{who}@{ID}.iam.gserviceaccount.com'}"


def observations_without(observations: Observations, row: Row) -> Observations:
    """Returns what the doctor would have observed without one right."""
    kind, _, name = row["thing"].rpartition("/")
    changed: dict[Command, Observation] = dict(observations)
    for command, observed in observations.items():
        is_it = name in command if kind else command[0] == "projects"
        if isinstance(observed, Found) and "get-iam-policy" in command and is_it:
            changed[command] = Found(_policy_without(observed.value, row))
    return changed


def failure_of_deployment(state: GoogleState, row: Row) -> str:
    """Returns the failure of a deployment of `receive` in a project without one right."""
    state = copy.deepcopy(state)
    state.policies["project"] = _policy_without(state.policies["project"], row)
    at_once = Propagation()
    agents = ServiceAgents(state, Policies(state, at_once), at_once)
    routes = Functions(state, agents, at_once, {}).routes()

    def call(method: str, ending: str, name: str) -> Any:
        (route,) = (r for r in routes if r.method == method and r.template.endswith(ending))
        one = Call(
            method=method,
            path="",
            query=MultiDict(updateMask="labels"),
            headers={},
            params={"region": "europe-west1", "name": name},
            body=state.functions["receive"].source if method == "PUT" else b"{}",
        )
        return route.handler(one).body

    build = state.functions["receive"].body["buildConfig"]
    call("PUT", "upload/{name}", build["source"]["storageSource"]["object"])
    try:
        started = call("PATCH", "functions/{name}", "receive")
    except ApiError as refused:
        return refused.message
    operation = started["name"].rpartition("/")[2]
    return str(call("GET", "operations/{name}", operation)["error"]["message"])


def _policy_without(policy: dict[str, Any], row: Row) -> dict[str, Any]:
    bindings = [
        {**binding, "members": [m for m in binding["members"] if m != member(row)]}
        if binding["role"] == row["role"]
        else binding
        for binding in policy.get("bindings", [])
    ]
    return {**policy, "bindings": bindings}

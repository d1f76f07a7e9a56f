"""The rights as the table has them, and what is seen where one of them is missing."""

from __future__ import annotations

import copy
from typing import Any

from local.gcp.agents import Agents
from local.gcp.call import Call
from local.gcp.functions import Functions
from local.gcp.policies import Policies
from local.gcp.problems import Refused
from local.gcp.propagation import Propagation
from local.gcp.state import GoogleState
from pendo_aep.gcp.doctor.look import Command, Look, Looks, Seen
from tests.unit.gcp.deploy.site import ID

Row = dict[str, str]


def member(row: Row) -> str:
    """Who, as policies name it."""
    who = row["who"]
    if who == "allUsers":
        return who
    return f"serviceAccount:{who if '@' in who else f'{who}@{ID}.iam.gserviceaccount.com'}"


def looks_without(looks: Looks, row: Row) -> Looks:
    """What the doctor would have seen without one right."""
    kind, _, name = row["thing"].rpartition("/")
    changed: dict[Command, Look] = dict(looks)
    for command, look in looks.items():
        is_it = name in command if kind else command[0] == "projects"
        if isinstance(look, Seen) and "get-iam-policy" in command and is_it:
            changed[command] = Seen(_policy_without(look.value, row))
    return changed


def failure_of_deployment(state: GoogleState, row: Row) -> str:
    """What a deployment of `receive` is refused or ends with in a project without one right."""
    state = copy.deepcopy(state)
    state.policies["project"] = _policy_without(state.policies["project"], row)
    at_once = Propagation()
    agents = Agents(state, Policies(state, at_once), at_once)
    routes = Functions(state, agents, at_once, "", {}).routes()

    def call(method: str, ending: str, path: str = "", **params: str) -> Any:
        (route,) = (r for r in routes if r.method == method and r.template.endswith(ending))
        one = Call(
            method=method,
            path=path,
            query={"updateMask": "labels"},
            headers={},
            params={"region": "europe-west1", **params},
            body=state.functions["receive"].source if method == "PUT" else b"{}",
        )
        return route.handler(one).body

    build = state.functions["receive"].body["buildConfig"]
    call("PUT", "{object}", object=build["source"]["storageSource"]["object"])
    try:
        started = call("PATCH", "{function}", function="receive")
    except Refused as refused:
        return str(refused)
    return str(call("GET", "{operation}", f"/v2/{started['name']}")["error"]["message"])


def _policy_without(policy: dict[str, Any], row: Row) -> dict[str, Any]:
    bindings = [
        {**binding, "members": [m for m in binding["members"] if m != member(row)]}
        if binding["role"] == row["role"]
        else binding
        for binding in policy.get("bindings", [])
    ]
    return {**policy, "bindings": bindings}

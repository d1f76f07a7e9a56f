"""The rights as the table has them, and what is seen where one of them is missing."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from local.google.call import Call
from local.google.functions import Functions
from local.google.problems import Refused
from local.google.state import GoogleState
from pendo_aep.doctor.look import Command, Look, Looks, Seen
from tests.deploy.site import ID

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


def refusal_of_build(state: GoogleState, row: Row) -> str:
    """What a build is refused with in a project without one right."""
    state = copy.deepcopy(state)
    state.policies["project"] = _policy_without(state.policies["project"], row)
    (update,) = (r for r in Functions(state, "", {}).routes() if r.method == "PATCH")
    call = Call(
        method="PATCH",
        path="",
        query={"updateMask": "labels"},
        headers={},
        params={"function": "receive", "region": "europe-west1"},
        body=b"{}",
    )
    with pytest.raises(Refused) as refused:
        update.handler(call)
    return str(refused.value)


def _policy_without(policy: dict[str, Any], row: Row) -> dict[str, Any]:
    bindings = [
        {**binding, "members": [m for m in binding["members"] if m != member(row)]}
        if binding["role"] == row["role"]
        else binding
        for binding in policy.get("bindings", [])
    ]
    return {**policy, "bindings": bindings}

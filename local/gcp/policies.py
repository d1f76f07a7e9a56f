"""IAM policies: who may do what with which thing; one handler for all APIs that have them."""

from __future__ import annotations

import base64
import re
from collections.abc import Container
from typing import Final

from local.gcp.call import Answer, Call, Route
from local.gcp.problems import Refused, invalid, not_found
from local.gcp.propagation import Propagation
from local.gcp.state import GoogleState, Json

# What a path is of, in `GoogleState.policies`.
_PLACES: Final = {
    "cloudresourcemanager/v1/projects/{project}": "project",
    "iam/v1/projects/{project}/serviceAccounts/{account}": "serviceAccounts/{account}",
    "secretmanager/v1/projects/{project}/secrets/{secret}": "secrets/{secret}",
    "run/v1/projects/{project}/locations/{region}/services/{service}": "services/{service}",
}
_ROLE: Final = re.compile(r"roles/[a-zA-Z]+\.[a-zA-Z.]+")
_ANYBODY: Final = frozenset({"allUsers", "allAuthenticatedUsers"})


class Policies:
    """Reads and writes them, and refuses whom nobody knows, or an organisation keeps out."""

    def __init__(self, state: GoogleState, propagation: Propagation) -> None:
        """Takes what there is, and how fast what is new is noticed."""
        self._state = state
        self._propagation = propagation

    def routes(self) -> tuple[Route, ...]:
        """Of all but topics and subscriptions, which are the emulator's."""
        return tuple(
            route
            for template, thing in _PLACES.items()
            for route in (
                Route("GET", f"{template}:getIamPolicy", _Get(self, thing)),
                Route("POST", f"{template}:getIamPolicy", _Get(self, thing)),
                Route("POST", f"{template}:setIamPolicy", _Set(self, thing), changes=True),
            )
        )

    def get(self, thing: str) -> Json:
        """The policy of a thing; empty, with an etag, if nobody has set one."""
        return self._state.policies.get(thing, {"etag": _etag(0)})

    def set(self, thing: str, policy: Json) -> Json:
        """Another one in its place.

        Raises:
            Refused: a role or a member is none, or somebody else was faster.
        """
        kept = self.get(thing)
        if policy.get("etag", kept["etag"]) != kept["etag"]:
            # The text is that of public deployment logs.
            raise Refused(
                409,
                "There were concurrent policy changes. Please retry the whole read-modify-write "
                "with exponential backoff.",
                status="ABORTED",
            )
        bindings = policy.get("bindings", [])
        for binding in bindings:
            if not _ROLE.fullmatch(binding["role"]):
                raise invalid(f"Role {binding['role']} is not supported for this resource.")
            for member in binding["members"]:
                self._check_member(member)
        number = int(base64.b64decode(kept["etag"]))
        for new in _grants(bindings) - _grants(kept.get("bindings", [])):
            self._propagation.begin(grant_of(thing, *new))
        self._state.policies[thing] = {"bindings": bindings, "etag": _etag(number + 1)}
        return self._state.policies[thing]

    def exists(self, thing: str) -> bool:
        """Whether there is such a thing, as far as it is not the emulator's."""
        kind, _, name = thing.partition("/")
        state = self._state
        things: dict[str, Container[str]] = {
            "serviceAccounts": state.accounts,
            "secrets": state.secrets,
            "services": state.functions,
        }
        return kind == "project" or name in things[kind]

    def _check_member(self, member: str) -> None:
        kind, _, address = member.partition(":")
        if member in _ANYBODY and self._state.restricts_domains:
            # Google: "Domain restricted sharing"; the text is that of gcloud in public logs.
            raise Refused(
                400,
                "One or more users named in the policy do not belong to a permitted customer,  "
                "perhaps due to an organization policy.",
                status="FAILED_PRECONDITION",
            )
        if member in _ANYBODY or kind in {"user", "group", "deleted"}:
            return
        known = self._state.agents | self._state.accounts.keys()
        unknown = invalid(f"Service account {address} does not exist.")
        if kind != "serviceAccount" or address not in known:
            raise unknown
        self._propagation.check(f"account {address} in IAM", unknown)


class _Get:
    def __init__(self, policies: Policies, thing: str) -> None:
        self._policies, self._thing = policies, thing

    def __call__(self, call: Call) -> Answer:
        return Answer(self._policies.get(_existing(self._policies, self._thing, call)))


class _Set:
    def __init__(self, policies: Policies, thing: str) -> None:
        self._policies, self._thing = policies, thing

    def __call__(self, call: Call) -> Answer:
        thing = _existing(self._policies, self._thing, call)
        return Answer(self._policies.set(thing, call.fields()["policy"]))


def _existing(policies: Policies, template: str, call: Call) -> str:
    thing = template.format(**call.params)
    if not policies.exists(thing):
        raise not_found(thing)
    return thing


def grant_of(thing: str, role: str, member: str) -> str:
    """How a grant is called that has just been made."""
    return f"{role} on {thing} for {member}"


def _grants(bindings: list[Json]) -> set[tuple[str, str]]:
    return {(binding["role"], member) for binding in bindings for member in binding["members"]}


def _etag(number: int) -> str:
    return base64.b64encode(b"%08d" % number).decode()

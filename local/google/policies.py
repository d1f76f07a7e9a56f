"""IAM policies: who may do what with which thing; one handler for all APIs that have them."""

from __future__ import annotations

import base64
import re
from collections.abc import Container
from typing import Final

from local.google.call import Answer, Call, Route
from local.google.problems import Refused, invalid, not_found
from local.google.state import GoogleState, Json

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
    """Reads and writes them, and refuses whom nobody knows.

    Attributes:
        not_yet: so many of the next changes are refused, as if IAM had not noticed yet that there
            is such an account. Google: IAM "service accounts overview", 60 seconds or more.
    """

    def __init__(self, state: GoogleState) -> None:
        """Takes what there is."""
        self.not_yet = 0
        self._state = state

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
            raise Refused(409, "There were concurrent policy changes.")
        if self.not_yet:
            self.not_yet -= 1
            raise invalid("Service account new@demo.iam.gserviceaccount.com does not exist.")
        bindings = policy.get("bindings", [])
        for binding in bindings:
            if not _ROLE.fullmatch(binding["role"]):
                raise invalid(f"Role {binding['role']} is not supported for this resource.")
            for member in binding["members"]:
                self._check_member(member)
        number = int(base64.b64decode(kept["etag"]))
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
        if member in _ANYBODY or kind in {"user", "group", "deleted"}:
            return
        known = self._state.agents | self._state.accounts.keys()
        if kind != "serviceAccount" or address not in known:
            raise invalid(f"Service account {address} does not exist.")


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


def _etag(number: int) -> str:
    return base64.b64encode(b"%08d" % number).decode()

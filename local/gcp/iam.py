"""The project and its IAM: policies, service accounts, service agents, and enabled APIs."""

from __future__ import annotations

import base64
import re
from collections.abc import Container
from typing import Final

from local.gcp.api import (
    ApiError,
    Call,
    Propagation,
    Route,
    already_exists,
    find,
    invalid,
    listed,
    not_found,
    take,
    update,
)
from local.gcp.state import GoogleState, Json
from local.http_server import JsonResponse

# The resource of a path, in `GoogleState.policies`.
_PLACES: Final = {
    "cloudresourcemanager/v1/projects/{project}": "project",
    "iam/v1/projects/{project}/serviceAccounts/{name}": "serviceAccounts/{name}",
    "secretmanager/v1/projects/{project}/secrets/{name}": "secrets/{name}",
    "run/v1/projects/{project}/locations/{region}/services/{name}": "services/{name}",
    "run/v1/projects/{project}/locations/{region}/jobs/{name}": "run_jobs/{name}",
}
_ROLE: Final = re.compile(r"roles/[a-zA-Z]+\.[a-zA-Z.]+")
_ANYBODY: Final = frozenset({"allUsers", "allAuthenticatedUsers"})
_ACCOUNTS: Final = "iam/v1/projects/{project}/serviceAccounts"
_ROLES: Final = "iam/v1/projects/{project}/roles"
_ROLE_ID: Final = re.compile(r"[a-zA-Z0-9_.]{3,64}")
_ACCOUNT_ID: Final = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
# Google: "Service agents", the domain of each and the role that it gets when it is created.
_AGENTS: Final = {
    "pubsub": ("gcp-sa-pubsub", "roles/pubsub.serviceAgent"),
    "cloudfunctions": ("gcf-admin-robot", "roles/cloudfunctions.serviceAgent"),
}
_PERMISSIONS: Final = "iam/v1/permissions:queryTestablePermissions"
_SERVICES: Final = "serviceusage/v1/projects/{project}/services"
_IDENTITY: Final = "serviceusage/v1beta1/projects/{project}/services/{name}"


class Policies:
    """The policies of all APIs; an unknown or forbidden member is refused."""

    def __init__(self, state: GoogleState, propagation: Propagation) -> None:
        """Takes the state, and how fast changes are noticed."""
        self._state = state
        self._propagation = propagation

    def routes(self) -> tuple[Route, ...]:
        """Returns the operations on all but topics and subscriptions, which `PubSubFront` has."""
        return tuple(route for place in _PLACES.items() for route in self._routes_of(*place))

    def _routes_of(self, template: str, thing: str) -> tuple[Route, ...]:
        def named(call: Call) -> str:
            name = thing.format(**call.params)
            if not self._exists(name):
                raise not_found(name)
            return name

        def get(call: Call) -> JsonResponse:
            return JsonResponse(200, self.get(named(call)))

        def replace(call: Call) -> JsonResponse:
            return JsonResponse(200, self.set(named(call), call.fields()["policy"]))

        return (
            Route("GET", f"{template}:getIamPolicy", get),
            Route("POST", f"{template}:getIamPolicy", get),
            Route("POST", f"{template}:setIamPolicy", replace, changes=True),
        )

    def get(self, thing: str) -> Json:
        """Returns the policy of a resource; empty, with an etag, if nobody has set one."""
        return self._state.policies.get(thing, {"etag": _etag(0)})

    def set(self, thing: str, policy: Json) -> Json:
        """Replaces a policy.

        Raises:
            ApiError: a role or member does not exist, or the policy has changed meanwhile.
        """
        kept = self.get(thing)
        if policy.get("etag", kept["etag"]) != kept["etag"]:
            # The text is that of public deployment logs.
            raise ApiError(
                409,
                "There were concurrent policy changes. Please retry the whole read-modify-write "
                "with exponential backoff.",
                status="ABORTED",
            )
        bindings = policy.get("bindings", [])
        for binding in bindings:
            if not self._is_role(binding["role"]):
                raise invalid(f"Role {binding['role']} is not supported for this resource.")
            for member in binding["members"]:
                self._check_member(member)
        number = int(base64.b64decode(kept["etag"]))
        for new in _grants(bindings) - _grants(kept.get("bindings", [])):
            self._propagation.begin(grant_of(thing, *new))
        self._state.policies[thing] = {"bindings": bindings, "etag": _etag(number + 1)}
        return self._state.policies[thing]

    def grant(self, thing: str, role: str, member: str) -> None:
        """Adds a binding to a policy."""
        policy = self.get(thing)
        bindings = [*policy.get("bindings", []), {"role": role, "members": [member]}]
        self.set(thing, {**policy, "bindings": bindings})

    def _exists(self, thing: str) -> bool:
        kind, _, name = thing.partition("/")
        state = self._state
        things: dict[str, Container[str]] = {
            "serviceAccounts": state.accounts,
            "secrets": state.secrets,
            "services": state.functions,
            "run_jobs": state.run_jobs,
        }
        return kind == "project" or name in things[kind]

    def _is_role(self, role: str) -> bool:
        """Returns whether it is a role of Google's, by its form, or one that the project has."""
        custom = self._state.roles.get(role.removeprefix(f"projects/{self._state.project}/roles/"))
        return bool(_ROLE.fullmatch(role)) or (custom is not None and not custom.get("deleted"))

    def _check_member(self, member: str) -> None:
        kind, _, address = member.partition(":")
        if member in _ANYBODY and self._state.restricts_domains:
            # Google: "Domain restricted sharing"; the text is that of gcloud in public logs.
            raise ApiError(
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


def grant_of(thing: str, role: str, member: str) -> str:
    """Returns the name of a grant, for `Propagation`."""
    return f"{role} on {thing} for {member}"


def _grants(bindings: list[Json]) -> set[tuple[str, str]]:
    return {(binding["role"], member) for binding in bindings for member in binding["members"]}


def _etag(number: int) -> str:
    return base64.b64encode(b"%08d" % number).decode()


class Accounts:
    """Service accounts; gcloud does not check their names, IAM does."""

    def __init__(self, state: GoogleState, propagation: Propagation) -> None:
        """Takes the state, and how fast changes are noticed."""
        self._state = state
        self._propagation = propagation

    def routes(self) -> tuple[Route, ...]:
        """Returns the operations that gcloud uses."""
        kept, one = self._state.accounts, f"{_ACCOUNTS}/{{name}}"
        return (
            Route("GET", _ACCOUNTS, lambda _: listed("accounts", [*kept.values()])),
            Route("POST", _ACCOUNTS, self._create, changes=True),
            Route("GET", one, lambda call: JsonResponse(200, find(kept, call))),
            Route("DELETE", one, self._delete, changes=True),
        )

    def _create(self, call: Call) -> JsonResponse:
        fields = call.fields()
        name = fields["accountId"]
        if not _ACCOUNT_ID.fullmatch(name):
            raise invalid(f"Invalid service account id {name!r}")
        address = f"{name}@{self._state.project}.iam.gserviceaccount.com"
        if address in self._state.accounts:
            raise already_exists(address)
        self._state.accounts[address] = {
            "name": f"projects/{self._state.project}/serviceAccounts/{address}",
            "email": address,
            **fields.get("serviceAccount", {}),
        }
        for where in ("IAM", "Cloud Run"):
            self._propagation.begin(f"account {address} in {where}")
        return JsonResponse(200, self._state.accounts[address])

    def _delete(self, call: Call) -> JsonResponse:
        take(self._state.accounts, call)
        self._state.policies.pop(f"serviceAccounts/{call.params['name']}", None)
        return JsonResponse(200, {})


class Roles:
    """Roles of the project's own; a deleted one can be undeleted, and its name is not free.

    Google: IAM "Create and manage custom roles", deleting: after 7 days it is deleted for good, and
    after 37 days its name is free.
    """

    def __init__(self, state: GoogleState) -> None:
        """Takes the state."""
        self._state = state

    def routes(self) -> tuple[Route, ...]:
        """Returns the operations that gcloud uses."""
        kept, one = self._state.roles, f"{_ROLES}/{{name}}"
        return (
            # gcloud asks it before it creates a role, to warn of permissions that are in testing.
            Route("POST", _PERMISSIONS, lambda _: JsonResponse(200, {})),
            Route("GET", one, lambda call: JsonResponse(200, find(kept, call))),
            Route("POST", _ROLES, self._create, changes=True),
            Route("PATCH", one, self._update, changes=True),
            Route("DELETE", one, lambda call: self._mark(call, {"deleted": True}), changes=True),
            Route("POST", f"{one}:undelete", lambda call: self._mark(call, {}), changes=True),
        )

    def _create(self, call: Call) -> JsonResponse:
        fields = call.fields()
        name = fields["roleId"]
        if not _ROLE_ID.fullmatch(name):
            raise invalid(f"The role ID {name!r} is not valid.")
        if name in self._state.roles:
            raise already_exists(name)
        return self._keep(name, fields["role"])

    def _update(self, call: Call) -> JsonResponse:
        old = find(self._state.roles, call)
        mask = call.query.get("updateMask", "includedPermissions")
        return self._keep(call.params["name"], update(old, call.fields(), mask))

    def _mark(self, call: Call, mark: Json) -> JsonResponse:
        old = find(self._state.roles, call)
        if ("deleted" in old) == ("deleted" in mark):
            raise invalid(f"The role {call.params['name']} is already so.")
        kept = {key: value for key, value in old.items() if key != "deleted"}
        return self._keep(call.params["name"], {**kept, **mark})

    def _keep(self, name: str, role: Json) -> JsonResponse:
        shown = {**role, "name": f"projects/{self._state.project}/roles/{name}"}
        self._state.roles[name] = shown
        return JsonResponse(200, shown)


class ServiceAgents:
    """The accounts that Google's own services use, created on demand or when first needed."""

    def __init__(self, state: GoogleState, policies: Policies, propagation: Propagation) -> None:
        """Takes the state."""
        self._state = state
        self._policies = policies
        self._propagation = propagation

    def address(self, service: str) -> str:
        """Returns the address of the agent of a service such as `pubsub`."""
        return f"service-{self._state.number}@{_AGENTS[service][0]}.iam.gserviceaccount.com"

    def create(self, service: str) -> str:
        """Creates an agent unless it exists, and returns its address."""
        address = self.address(service)
        if address not in self._state.agents:
            self._state.agents.add(address)
            self._policies.grant("project", _AGENTS[service][1], f"serviceAccount:{address}")
            self._propagation.begin(f"agent {address}")
        return address


class Project:
    """The number of the project, and the APIs that are enabled."""

    def __init__(self, state: GoogleState, agents: ServiceAgents, propagation: Propagation) -> None:
        """Takes the state, and how fast changes are noticed."""
        self._state = state
        self._propagation = propagation
        self._agents = agents

    def routes(self) -> tuple[Route, ...]:
        """Returns the operations that gcloud uses."""
        return (
            Route("GET", "cloudresourcemanager/v1/projects/{project}", self._describe),
            Route("GET", _SERVICES, self._list),
            Route("GET", f"{_SERVICES}/{{name}}", self._one),
            Route("POST", f"{_SERVICES}/{{name}}:enable", self._enable, changes=True),
            Route("POST", f"{_SERVICES}:batchEnable", self._enable, changes=True),
            Route("POST", f"{_IDENTITY}:generateServiceIdentity", self._identify, changes=True),
        )

    def _describe(self, call: Call) -> JsonResponse:
        project = self._state.project
        if call.params["project"] != project:
            raise not_found(f"projects/{call.params['project']}")
        shown = {
            "projectId": project,
            "projectNumber": self._state.number,
            "lifecycleState": "ACTIVE",
        }
        return JsonResponse(200, shown)

    def _list(self, call: Call) -> JsonResponse:
        assert "ENABLED" in call.query.get("filter", "")  # noqa: S101 (no other list is written)
        return listed("services", [self._shown(name) for name in sorted(self._state.services)])

    def _one(self, call: Call) -> JsonResponse:
        return JsonResponse(200, self._shown(call.params["name"]))

    def _shown(self, name: str) -> Json:
        is_on = name in self._state.services
        return {
            "name": f"projects/{self._state.number}/services/{name}",
            "config": {"name": name},
            "state": "ENABLED" if is_on else "DISABLED",
        }

    def _enable(self, call: Call) -> JsonResponse:
        one = call.params.get("name")
        asked = {one} if one else set(call.fields()["serviceIds"])
        for name in asked - self._state.services:
            self._propagation.begin(f"service {name}")
        self._state.services |= asked
        return JsonResponse(200, {"name": "operations/noop.DONE_OPERATION", "done": True})

    def _identify(self, call: Call) -> JsonResponse:
        service = call.params["name"].removesuffix(".googleapis.com")
        identity = {"email": self._agents.create(service), "uniqueId": "1"}
        ended = {"name": "operations/finished.DONE", "done": True, "response": identity}
        return JsonResponse(200, ended)

"""What exists in the project, in plain dataclasses, which the APIs change and tests read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class Secret:
    """A secret with the data of all its versions, which are numbered from 1 on."""

    body: Json
    versions: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class Function:
    """A function: `body` as the API shows it, `source` the zip that it was last deployed from."""

    body: Json
    source: bytes


@dataclass(slots=True, kw_only=True)
class GoogleState:
    """Everything but topics and subscriptions, which the emulator has; by short names.

    Attributes:
        project: its id.
        number: its number, as text, as Google shows it.
        services: the APIs that are enabled.
        agents: the addresses of Google's own service accounts that were created.
        unchecked: the services whose IAM check is disabled, so that everybody can call them.
        restricts_domains: an organisation forbids to grant anything to `allUsers`.
        requires_invoker_iam: an organisation forbids to disable the IAM check of a service.
        policies: IAM policies by resource: `topics/T`, `services/S`, ..., or `project`.
        jobs: of Cloud Scheduler.
        roles: those that the project defines, also deleted ones.
        repositories: of images, each with the names of its images.
        run_jobs: of Cloud Run, in the shape of Kubernetes.
        uploads: the archives that builds were started with, by bucket and name.
        exclusions: those of the log sink `_Default`, by their names.
        backlog: how many messages Cloud Monitoring says wait in a subscription; put some in.
        log: the JSON lines that the functions printed, oldest first; put some in.
    """

    project: str
    number: str = "123456789"
    services: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    unchecked: set[str] = field(default_factory=set)
    restricts_domains: bool = False
    requires_invoker_iam: bool = False
    policies: dict[str, Json] = field(default_factory=dict)
    accounts: dict[str, Json] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    jobs: dict[str, Json] = field(default_factory=dict)
    roles: dict[str, Json] = field(default_factory=dict)
    repositories: dict[str, set[str]] = field(default_factory=dict)
    run_jobs: dict[str, Json] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    metrics: dict[str, Json] = field(default_factory=dict)
    dashboards: dict[str, Json] = field(default_factory=dict)
    alert_policies: dict[str, Json] = field(default_factory=dict)
    channels: dict[str, Json] = field(default_factory=dict)
    exclusions: dict[str, Json] = field(default_factory=dict)
    backlog: dict[str, int] = field(default_factory=dict)
    log: list[Json] = field(default_factory=list)

    def members(self, resource: str, role: str) -> set[str]:
        """Returns who has a role on a resource."""
        bindings = self.policies.get(resource, {}).get("bindings", [])
        return {m for one in bindings if one["role"] == role for m in one["members"]}

    @property
    def rights(self) -> set[tuple[str, str, str]]:
        """Every binding: resource, role and member."""
        return {
            (resource, binding["role"], member)
            for resource, policy in self.policies.items()
            for binding in policy.get("bindings", [])
            for member in binding["members"]
        }

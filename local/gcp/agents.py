"""Service agents: the accounts by which Google's own services act in the project."""

from __future__ import annotations

from typing import Final

from local.gcp.policies import Policies
from local.gcp.propagation import Propagation
from local.gcp.state import GoogleState

# Google: "Service agents", the domain of each and the role that it gets when it is created.
_AGENTS: Final = {
    "pubsub": ("gcp-sa-pubsub", "roles/pubsub.serviceAgent"),
    "cloudfunctions": ("gcf-admin-robot", "roles/cloudfunctions.serviceAgent"),
}


class Agents:
    """Creates them, when they are asked for or first needed."""

    def __init__(self, state: GoogleState, policies: Policies, propagation: Propagation) -> None:
        """Takes what there is."""
        self._state = state
        self._policies = policies
        self._propagation = propagation

    def address(self, service: str) -> str:
        """What the agent of a service is called, as in `pubsub`."""
        return f"service-{self._state.number}@{_AGENTS[service][0]}.iam.gserviceaccount.com"

    def create(self, service: str) -> str:
        """Creates one, unless it is there, and returns its address."""
        address = self.address(service)
        if address not in self._state.agents:
            self._state.agents.add(address)
            self._grant(address, _AGENTS[service][1])
            self._propagation.begin(f"agent {address}")
        return address

    def _grant(self, address: str, role: str) -> None:
        policy = self._policies.get("project")
        binding = {"role": role, "members": [f"serviceAccount:{address}"]}
        bindings = [*policy.get("bindings", []), binding]
        self._policies.set("project", {**policy, "bindings": bindings})

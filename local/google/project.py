"""The project: its number, the APIs that are enabled, and Google's own accounts in it."""

from __future__ import annotations

from local.google.call import Answer, Call, Route
from local.google.policies import Policies
from local.google.problems import not_found
from local.google.state import GoogleState

_SERVICES = "serviceusage/v1/projects/{project}/services"


class Project:
    """Cloud Resource Manager and Service Usage."""

    def __init__(self, state: GoogleState, policies: Policies) -> None:
        """Takes what there is."""
        self._state = state
        self._policies = policies

    def routes(self) -> tuple[Route, ...]:
        """The operations that gcloud uses."""
        identity = "serviceusage/v1beta1/projects/{project}/services/{service}"
        return (
            Route("GET", "cloudresourcemanager/v1/projects/{project}", self._describe),
            Route("GET", _SERVICES, self._list),
            Route("GET", f"{_SERVICES}/{{service}}", self._one),
            Route("POST", f"{_SERVICES}/{{service}}:enable", self._enable, changes=True),
            Route("POST", f"{_SERVICES}:batchEnable", self._enable, changes=True),
            Route("POST", f"{identity}:generateServiceIdentity", self._identify, changes=True),
        )

    def _describe(self, call: Call) -> Answer:
        state = self._state
        if call.params["project"] != state.project:
            raise not_found(f"projects/{call.params['project']}")
        return Answer(
            {
                "projectId": state.project,
                "projectNumber": state.number,
                "lifecycleState": "ACTIVE",
            }
        )

    def _list(self, call: Call) -> Answer:
        assert "ENABLED" in call.query.get("filter", "")  # noqa: S101 (no other list is written)
        return Answer({"services": [self._shown(name) for name in sorted(self._state.services)]})

    def _one(self, call: Call) -> Answer:
        return Answer(self._shown(call.params["service"]))

    def _shown(self, name: str) -> dict[str, object]:
        is_on = name in self._state.services
        return {
            "name": f"projects/{self._state.number}/services/{name}",
            "config": {"name": name},
            "state": "ENABLED" if is_on else "DISABLED",
        }

    def _enable(self, call: Call) -> Answer:
        one = call.params.get("service")
        self._state.services |= {one} if one else set(call.fields()["serviceIds"])
        return Answer({"name": "operations/noop.DONE_OPERATION", "done": True})

    def _identify(self, call: Call) -> Answer:
        name = call.params["service"].removesuffix(".googleapis.com")
        address = f"service-{self._state.number}@gcp-sa-{name}.iam.gserviceaccount.com"
        if address not in self._state.agents:
            self._state.agents.add(address)
            # Google: IAM "service agents", it gets the role that it needs when it is made.
            self.let(address, f"roles/{name}.serviceAgent")
        identity = {"email": address, "uniqueId": "1"}
        return Answer({"name": "operations/finished.DONE", "done": True, "response": identity})

    def let(self, address: str, role: str) -> None:
        """Google itself grants a role in the project."""
        policy = self._policies.get("project")
        binding = {"role": role, "members": [f"serviceAccount:{address}"]}
        bindings = [*policy.get("bindings", []), binding]
        self._policies.set("project", {**policy, "bindings": bindings})

"""The project: its number, the APIs that are enabled, and Google's own accounts in it."""

from __future__ import annotations

from local.gcp.agents import Agents
from local.gcp.call import Answer, Call, Route
from local.gcp.problems import not_found
from local.gcp.propagation import Propagation
from local.gcp.state import GoogleState

_SERVICES = "serviceusage/v1/projects/{project}/services"


class Project:
    """Cloud Resource Manager and Service Usage."""

    def __init__(self, state: GoogleState, agents: Agents, propagation: Propagation) -> None:
        """Takes what there is, and how fast what is new is noticed."""
        self._state = state
        self._propagation = propagation
        self._agents = agents

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
        asked = {one} if one else set(call.fields()["serviceIds"])
        for name in asked - self._state.services:
            self._propagation.begin(f"service {name}")
        self._state.services |= asked
        return Answer({"name": "operations/noop.DONE_OPERATION", "done": True})

    def _identify(self, call: Call) -> Answer:
        service = call.params["service"].removesuffix(".googleapis.com")
        identity = {"email": self._agents.create(service), "uniqueId": "1"}
        return Answer({"name": "operations/finished.DONE", "done": True, "response": identity})

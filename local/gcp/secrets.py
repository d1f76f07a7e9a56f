"""Secret Manager."""

from __future__ import annotations

import base64
from typing import Final

from local.gcp.api import Call, Route, already_exists, find, invalid, listed, not_found, take
from local.gcp.state import GoogleState, Json, Secret
from local.http_server import JsonResponse

_ALL: Final = "secretmanager/v1/projects/{project}/secrets"
_ONE: Final = f"{_ALL}/{{name}}"


class Secrets:
    """The secrets with their versions."""

    def __init__(self, state: GoogleState) -> None:
        """Takes the state."""
        self._state = state

    def routes(self) -> tuple[Route, ...]:
        """Returns the operations that gcloud uses."""
        kept = self._state.secrets
        return (
            Route("GET", _ALL, lambda _: listed("secrets", [one.body for one in kept.values()])),
            Route("POST", _ALL, self._create, changes=True),
            Route("GET", _ONE, lambda call: JsonResponse(200, find(kept, call).body)),
            Route("DELETE", _ONE, self._delete, changes=True),
            Route("POST", f"{_ONE}:addVersion", self._add, changes=True),
            Route("GET", f"{_ONE}/versions", self._versions),
            Route("GET", f"{_ONE}/versions/{{version}}:access", self._access),
        )

    def _create(self, call: Call) -> JsonResponse:
        name = call.query["secretId"]
        if name in self._state.secrets:
            raise already_exists(name)
        body = {**call.fields(), "name": self._path(name)}
        if "replication" not in body:
            raise invalid("Secret.replication is required.")
        self._state.secrets[name] = Secret(body)
        return JsonResponse(200, body)

    def _delete(self, call: Call) -> JsonResponse:
        take(self._state.secrets, call)
        self._state.policies.pop(f"secrets/{call.params['name']}", None)
        return JsonResponse(200, {})

    def _add(self, call: Call) -> JsonResponse:
        versions = find(self._state.secrets, call).versions
        data = base64.b64decode(call.fields()["payload"]["data"])
        if not data:
            raise invalid("The payload is empty.")
        versions.append(data)
        shown = self._shown(call.params["name"], len(versions))
        return JsonResponse(200, {**shown, "clientSpecifiedPayloadChecksum": True})

    def _versions(self, call: Call) -> JsonResponse:
        """Returns the versions, newest first."""
        count = len(find(self._state.secrets, call).versions)
        shown = [self._shown(call.params["name"], number) for number in range(count, 0, -1)]
        return listed("versions", shown)

    def _access(self, call: Call) -> JsonResponse:
        versions, version = find(self._state.secrets, call).versions, call.params["version"]
        number = len(versions) if version == "latest" else int(version)
        path = f"{self._path(call.params['name'])}/versions"
        if not 1 <= number <= len(versions):
            raise not_found(f"{path}/{version}")
        data = base64.b64encode(versions[number - 1]).decode()
        return JsonResponse(200, {"name": f"{path}/{number}", "payload": {"data": data}})

    def _path(self, name: str) -> str:
        return f"projects/{self._state.number}/secrets/{name}"

    def _shown(self, name: str, number: int) -> Json:
        return {"name": f"{self._path(name)}/versions/{number}", "state": "ENABLED"}

"""Secret Manager."""

from __future__ import annotations

import base64
from typing import Final

from local.gcp.api import Call, Response, Route, already_exists, find, invalid, not_found
from local.gcp.state import GoogleState, Json, Secret, Version

_ALL: Final = "secretmanager/v1/projects/{project}/secrets"
_ONE: Final = f"{_ALL}/{{secret}}"


class Secrets:
    """The secrets with their versions."""

    def __init__(self, state: GoogleState) -> None:
        """Takes the state."""
        self._state = state

    def routes(self) -> tuple[Route, ...]:
        """Returns the operations that gcloud uses."""
        kept = self._state.secrets
        return (
            Route("GET", _ALL, lambda _: Response({"secrets": [s.body for s in kept.values()]})),
            Route("POST", _ALL, self._create, changes=True),
            Route("GET", _ONE, lambda call: Response(self._find(call).body)),
            Route("DELETE", _ONE, self._delete, changes=True),
            Route("POST", f"{_ONE}:addVersion", self._add, changes=True),
            Route("GET", f"{_ONE}/versions", self._versions),
            Route("GET", f"{_ONE}/versions/{{version}}:access", self._access),
        )

    def _create(self, call: Call) -> Response:
        name = call.query["secretId"]
        if name in self._state.secrets:
            raise already_exists(name)
        body = {**call.fields(), "name": self._path(name)}
        if "replication" not in body:
            raise invalid("Secret.replication is required.")
        self._state.secrets[name] = Secret(body)
        return Response(body)

    def _delete(self, call: Call) -> Response:
        self._find(call)
        del self._state.secrets[call.params["secret"]]
        self._state.policies.pop(f"secrets/{call.params['secret']}", None)
        return Response()

    def _add(self, call: Call) -> Response:
        secret = self._find(call)
        data = base64.b64decode(call.fields()["payload"]["data"])
        if not data:
            raise invalid("The payload is empty.")
        secret.versions.append(Version(data))
        shown = self._shown(call.params["secret"], len(secret.versions), secret.versions[-1])
        return Response({**shown, "clientSpecifiedPayloadChecksum": True})

    def _versions(self, call: Call) -> Response:
        secret = self._find(call)
        shown = [
            self._shown(call.params["secret"], number, version)
            for number, version in enumerate(secret.versions, 1)
        ]
        return Response({"versions": shown[::-1]} if shown else {})

    def _access(self, call: Call) -> Response:
        secret, version = self._find(call), call.params["version"]
        number = len(secret.versions) if version == "latest" else int(version)
        if not 1 <= number <= len(secret.versions):
            raise not_found(f"{self._path(call.params['secret'])}/versions/{version}")
        data = base64.b64encode(secret.versions[number - 1].data).decode()
        name = f"{self._path(call.params['secret'])}/versions/{number}"
        return Response({"name": name, "payload": {"data": data}})

    def _find(self, call: Call) -> Secret:
        return find(self._state.secrets, call, "secret")

    def _path(self, name: str) -> str:
        return f"projects/{self._state.number}/secrets/{name}"

    def _shown(self, name: str, number: int, version: Version) -> Json:
        return {"name": f"{self._path(name)}/versions/{number}", "state": version.state}

"""Google's APIs as far as a look goes: they answer the real gcloud with what a table says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from aiohttp import web

_APIS = (
    "CLOUDRESOURCEMANAGER",
    "PUBSUB",
    "SECRETMANAGER",
    "CLOUDFUNCTIONS",
    "CLOUDSCHEDULER",
    "LOGGING",
)
_NOT_FOUND = {"code": 404, "message": "it is not there", "status": "NOT_FOUND"}


class Google:
    """`async with Google(answers, folder) as google`: gcloud finds it by `google.environment`.

    Attributes:
        refusals: errors to answer with, by the end of a path.
        calls: the method and the path of each request that gcloud has made.
    """

    def __init__(
        self, answers: Mapping[str, Any], folder: Path, log: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Takes what to say to each command, a folder for gcloud's own files, and the log."""
        self.refusals: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.environment: dict[str, str] = {}
        # What the log has is asked by a filter, not by a path.
        described = {c: value for c, value in answers.items() if not c.startswith("logging ")}
        self._answers = {_path(command): value for command, value in described.items()}
        self._folder = folder
        self._log = log

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host = "{}:{}".format(*self._runner.addresses[0])
        self.environment = {
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_CONFIG": str(self._folder),
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
            "GCE_METADATA_ROOT": host,
            **{f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api}": f"http://{host}/" for api in _APIS},
            # gcloud puts the region in front of this host, as it does with Cloud Run's own; nobody
            # resolves the name, for this server is the proxy.
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN": "http://run.test/",
            "http_proxy": f"http://{host}",
            "no_proxy": "127.0.0.1,localhost",
        }
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        path = request.path
        if path.startswith("/computeMetadata/"):
            return web.json_response({})
        self.calls.append((request.method, path))
        for end, error in self.refusals.items():
            if path.endswith(end):
                return web.json_response({"error": error}, status=error["code"])
        if path == "/v2/entries:list":
            return web.json_response({"entries": self._entries(await request.json())})
        if path not in self._answers:
            return web.json_response({"error": _NOT_FOUND}, status=404)
        value = self._answers[path]
        return web.json_response({"versions": value} if isinstance(value, list) else value)

    def _entries(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """The lines with the value that the filter names, newest first."""
        key, _, value = asked["filter"].rpartition("jsonPayload.")[2].partition("=")
        found: Iterable[dict[str, Any]] = (
            {"insertId": str(number), "timestamp": "2026-11-02T12:00:00Z", "jsonPayload": line}
            for number, line in enumerate(self._log)
            if json.dumps(line.get(key)) == value
        )
        return list(found)[::-1][: asked["pageSize"]]


def _path(command: str) -> str:
    """Where gcloud asks, for a command."""
    *words, name = (word for word in command.split() if not word.startswith("--"))
    secret = command.rpartition("--secret=")[2]
    place = "projects/demo/locations/europe-west1"
    paths = {
        "projects describe": f"/v1/projects/{name}",
        "projects get-iam-policy": f"/v1/projects/{name}:getIamPolicy",
        "functions describe": f"/v2/{place}/functions/{name}",
        "run services describe": f"/apis/serving.knative.dev/v1/namespaces/demo/services/{name}",
        "run services get-iam-policy": f"/v1/{place}/services/{name}:getIamPolicy",
        "scheduler jobs describe": f"/v1/{place}/jobs/{name}",
        "secrets versions list": f"/v1/projects/demo/secrets/{name}/versions",
        "secrets versions access": f"/v1/projects/demo/secrets/{secret}/versions/{name}:access",
        "secrets get-iam-policy": f"/v1/projects/demo/secrets/{name}:getIamPolicy",
    }
    kind = " ".join(words)
    if kind in paths:
        return paths[kind]
    _, collection, action = words
    ending = ":getIamPolicy" if action == "get-iam-policy" else ""
    return f"/v1/projects/demo/{collection}/{name}{ending}"

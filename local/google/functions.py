"""Cloud Run functions: they take a zip, and refuse what their build or start would fail for."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from typing import Final

from local.google.call import Answer, Call, Route
from local.google.problems import exists, invalid, not_found
from local.google.state import Function, GoogleState, Json

_PLACE: Final = "cloudfunctions/v2/projects/{project}/locations/{region}"
_ONE: Final = f"{_PLACE}/functions/{{function}}"
RUNTIMES: Final = ("python311", "python312", "python313")
_ACCESSOR: Final = "roles/secretmanager.secretAccessor"
# Google: Cloud Run functions "custom service account for Cloud Build".
_BUILDER: Final = (
    "roles/logging.logWriter",
    "roles/artifactregistry.writer",
    "roles/storage.objectViewer",
)
# Google: Cloud Functions API v2, ServiceConfig.IngressSettings; the first is the default.
_INGRESS: Final = ("ALLOW_ALL", "ALLOW_INTERNAL_ONLY", "ALLOW_INTERNAL_AND_GCLB")
# Without the first there is no build, without the second no start.
_NEEDED: Final = ("main.py", "requirements.txt")


class Functions:
    """The functions, each with the source that it was made of."""

    def __init__(self, state: GoogleState, url: str, addresses: Mapping[str, str]) -> None:
        """Takes what there is, where uploads go to, and where some functions are to answer."""
        self._state = state
        self._url = url
        self._addresses = addresses
        self._uploads: dict[str, bytes] = {}

    def routes(self) -> tuple[Route, ...]:
        """The operations that gcloud uses."""
        cloud_build = "cloudbuild/v1/projects/{project}/locations/{region}/defaultServiceAccount"
        return (
            Route("GET", f"{_PLACE}/runtimes", self._runtimes),
            Route("POST", f"{_PLACE}/functions:generateUploadUrl", self._upload_url),
            Route("PUT", "upload/{object}", self._upload),
            Route("GET", f"{_PLACE}/functions", self._list),
            Route("POST", f"{_PLACE}/functions", self._create, changes=True),
            Route("GET", _ONE, self._describe),
            Route("PATCH", _ONE, self._update, changes=True),
            Route("DELETE", _ONE, self._delete, changes=True),
            Route("GET", f"{_PLACE}/operations/{{operation}}", self._operation),
            Route("GET", cloud_build, self._default_builder),
        )

    def _runtimes(self, call: Call) -> Answer:  # noqa: ARG002 (all calls are alike)
        return Answer({"runtimes": [{"name": name, "environment": "GEN_2"} for name in RUNTIMES]})

    def _upload_url(self, call: Call) -> Answer:  # noqa: ARG002 (the same)
        name = f"source-{len(self._uploads) + 1}.zip"
        self._uploads[name] = b""
        source = {"bucket": f"gcf-v2-uploads-{self._state.number}", "object": name}
        return Answer({"uploadUrl": f"{self._url}/upload/{name}", "storageSource": source})

    def _upload(self, call: Call) -> Answer:
        self._uploads[call.params["object"]] = call.body
        return Answer()

    def _default_builder(self, call: Call) -> Answer:  # noqa: ARG002 (the same)
        account = f"{self._state.number}-compute@developer.gserviceaccount.com"
        name = f"projects/{self._state.project}/serviceAccounts/{account}"
        return Answer({"serviceAccountEmail": name})

    def _list(self, call: Call) -> Answer:
        place = f"/locations/{call.params['region']}/"
        bodies = [one.body for one in self._state.functions.values()]
        return Answer({"functions": [body for body in bodies if place in body["name"]]})

    def _create(self, call: Call) -> Answer:
        name = call.query["functionId"]
        if name in self._state.functions:
            raise exists(name)
        self._keep(name, call.params["region"], call.fields())
        return self._started(call)

    def _update(self, call: Call) -> Answer:
        name = call.params["function"]
        if name not in self._state.functions:
            raise not_found(name)
        body, sent = self._state.functions[name].body, call.fields()
        for path in call.query["updateMask"].split(","):
            keys = [re.sub(r"_(\w)", lambda m: m[1].upper(), key) for key in path.split(".")]
            body = _changed(body, sent, keys)
        self._keep(name, call.params["region"], body)
        return self._started(call)

    def _delete(self, call: Call) -> Answer:
        name = call.params["function"]
        if name not in self._state.functions:
            raise not_found(name)
        del self._state.functions[name]
        self._state.policies.pop(f"services/{name}", None)
        return self._started(call)

    def _describe(self, call: Call) -> Answer:
        name = call.params["function"]
        if name not in self._state.functions:
            raise not_found(name)
        return Answer(self._state.functions[name].body)

    def _started(self, call: Call) -> Answer:
        place = f"projects/{self._state.project}/locations/{call.params['region']}"
        return Answer({"name": f"{place}/operations/operation-1"})

    def _operation(self, call: Call) -> Answer:
        name = call.path.partition("/v2/")[2]
        return Answer({"name": name, "done": True, "metadata": {}, "response": {}})

    def _keep(self, name: str, region: str, body: Json) -> None:
        service = body.get("serviceConfig", {})
        self._check(body, service)
        place = f"projects/{self._state.project}/locations/{region}"
        stored = body["buildConfig"]["source"]["storageSource"]["object"]
        _check_source(self._uploads[stored])
        url = self._addresses.get(name, f"https://{name}-x-ew.a.run.app")
        self._state.functions[name] = Function(
            {
                **body,
                "name": f"{place}/functions/{name}",
                "environment": "GEN_2",
                "state": "ACTIVE",
                "url": f"https://{region}-{self._state.project}.cloudfunctions.net/{name}",
                # Google's JSON leaves out what is zero or empty.
                "serviceConfig": {"ingressSettings": _INGRESS[0]}
                | {key: value for key, value in service.items() if value}
                | {"service": f"{place}/services/{name}", "uri": url},
            },
            self._uploads[stored],
        )

    def _check(self, body: Json, service: Json) -> None:
        runtime = body["buildConfig"]["runtime"]
        if runtime not in RUNTIMES:
            raise invalid(f"runtime: {runtime} is none")
        if service.get("maxInstanceRequestConcurrency", 1) > 1 and (
            float(service.get("availableCpu", "0.1")) < 1
        ):
            raise invalid("concurrency greater than 1 requires at least 1 CPU")
        if service.get("ingressSettings", _INGRESS[0]) not in _INGRESS:
            raise invalid(f"ingressSettings: {service['ingressSettings']} is none")
        account = service["serviceAccountEmail"]
        if account not in self._state.accounts:
            raise invalid(f"Service account {account} was not found.")
        builder = body["buildConfig"].get("serviceAccount", "").rpartition("/")[2]
        for role in _BUILDER:
            if f"serviceAccount:{builder}" not in self._state.members("project", role):
                raise invalid(f"Build failed: {builder or 'the default account'} lacks {role}")
        for volume in service.get("secretVolumes", []):
            self._check_secret(volume["secret"], account)

    def _check_secret(self, name: str, account: str) -> None:
        # Google: Cloud Run "secrets", all are checked at deployment.
        if name not in self._state.secrets or not self._state.secrets[name].versions:
            raise invalid(f"Secret {name} was not found.")
        if f"serviceAccount:{account}" not in self._state.members(f"secrets/{name}", _ACCESSOR):
            raise invalid(f"Permission denied on secret {name} for {account}; grant {_ACCESSOR}")


def _check_source(source: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(source)) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        raise invalid("Build failed: the source is not a zip") from None
    for name in _NEEDED:
        if name not in names:
            raise invalid(f"Build failed: missing {name}")


def _changed(old: Json, sent: Json, keys: list[str]) -> Json:
    """The old body with one field as it was sent."""
    key, *rest = keys
    body = dict(old)
    if rest:
        body[key] = _changed(old.get(key) or {}, sent.get(key) or {}, rest)
    elif key in sent:
        body[key] = sent[key]
    else:
        body.pop(key, None)
    return body

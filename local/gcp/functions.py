"""Cloud Run functions: they take a zip, and fail where their build or start would.

What the API refuses at once, and what an operation fails with after some minutes, are told apart as
public deployment logs show them. A function whose operation fails is kept as FAILED (assumed for a
first deployment; Google: Function.State).
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from typing import Final

from local.gcp.agents import Agents
from local.gcp.call import Answer, Call, Route
from local.gcp.policies import grant_of
from local.gcp.problems import Refused, exists, invalid, not_found
from local.gcp.propagation import Propagation
from local.gcp.state import Function, GoogleState, Json

_PLACE: Final = "cloudfunctions/v2/projects/{project}/locations/{region}"
_ONE: Final = f"{_PLACE}/functions/{{function}}"
RUNTIMES: Final = ("python311", "python312", "python313")
_ACCESSOR: Final = "roles/secretmanager.secretAccessor"
# Google: Cloud Run functions "custom service account for Cloud Build".
_BUILDER: Final = ("roles/logging.logWriter", "roles/artifactregistry.writer")
_READER: Final = "roles/storage.objectViewer"
_AGENT: Final = "roles/cloudfunctions.serviceAgent"
# Google: Cloud Functions API v2, ServiceConfig.IngressSettings; the first is the default.
_INGRESS: Final = ("ALLOW_ALL", "ALLOW_INTERNAL_ONLY", "ALLOW_INTERNAL_AND_GCLB")
# Without the first there is no build, without the second no start.
_NEEDED: Final = ("main.py", "requirements.txt")


class Functions:
    """The functions, each with the source that it was made of."""

    def __init__(
        self,
        state: GoogleState,
        agents: Agents,
        propagation: Propagation,
        url: str,
        addresses: Mapping[str, str],
    ) -> None:
        """Takes what there is, where uploads go to, and where some functions are to answer."""
        self._state = state
        self._agents = agents
        self._propagation = propagation
        self._url = url
        self._addresses = addresses
        self._uploads: dict[str, bytes] = {}
        self._failures: list[Json | None] = []  # of each operation

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
        return self._keep(name, call, call.fields())

    def _update(self, call: Call) -> Answer:
        name = call.params["function"]
        if name not in self._state.functions:
            raise not_found(name)
        body, sent = self._state.functions[name].body, call.fields()
        for path in call.query["updateMask"].split(","):
            keys = [re.sub(r"_(\w)", lambda m: m[1].upper(), key) for key in path.split(".")]
            body = _changed(body, sent, keys)
        return self._keep(name, call, body)

    def _delete(self, call: Call) -> Answer:
        name = call.params["function"]
        if name not in self._state.functions:
            raise not_found(name)
        del self._state.functions[name]
        self._state.unchecked.discard(name)
        self._state.policies.pop(f"services/{name}", None)
        return self._started(call)

    def _describe(self, call: Call) -> Answer:
        name = call.params["function"]
        if name not in self._state.functions:
            raise not_found(name)
        return Answer(self._state.functions[name].body)

    def _started(self, call: Call, failure: Json | None = None) -> Answer:
        place = f"projects/{self._state.project}/locations/{call.params['region']}"
        self._failures.append(failure)
        return Answer({"name": f"{place}/operations/operation-{len(self._failures)}"})

    def _operation(self, call: Call) -> Answer:
        name = call.path.partition("/v2/")[2]
        failure = self._failures[int(name.rpartition("-")[2]) - 1]
        outcome = {"error": failure} if failure else {"response": {}}
        return Answer({"name": name, "done": True, "metadata": {}, **outcome})

    def _keep(self, name: str, call: Call, body: Json) -> Answer:
        """Refuses it, or starts an operation, which may fail."""
        region = call.params["region"]
        service = body.get("serviceConfig", {})
        self._check(body, service, region)
        place = f"projects/{self._state.project}/locations/{region}"
        stored = body["buildConfig"]["source"]["storageSource"]["object"]
        failure = None
        try:
            self._build(body, name, region)
            _check_source(self._uploads[stored])
            for volume in service.get("secretVolumes", []):
                self._check_secret(volume["secret"], service["serviceAccountEmail"])
        except Refused as refused:
            failure = {"code": 3, "message": str(refused)}
        url = self._addresses.get(name, f"https://{name}-x-ew.a.run.app")
        self._state.functions[name] = Function(
            {
                **body,
                "name": f"{place}/functions/{name}",
                "environment": "GEN_2",
                "state": "FAILED" if failure else "ACTIVE",
                "url": f"https://{region}-{self._state.project}.cloudfunctions.net/{name}",
                # Google's JSON leaves out what is zero or empty.
                "serviceConfig": {"ingressSettings": _INGRESS[0]}
                | {key: value for key, value in service.items() if value}
                | {"service": f"{place}/services/{name}", "uri": url},
            },
            self._uploads[stored],
        )
        return self._started(call, failure)

    def _check(self, body: Json, service: Json, region: str) -> None:
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
        # privacysandbox/aggregation-service#47.
        cannot_act = Refused(
            403,
            f"Permission 'iam.serviceaccounts.actAs' denied on service account {account} (or it "
            "may not exist).",
        )
        if account not in self._state.accounts:
            raise cannot_act
        self._propagation.check(f"account {account} in Cloud Run", cannot_act)
        self._check_agent(region)

    def _check_agent(self, region: str) -> None:
        """The first deployment creates the agent, and is refused (firebase-tools#5244)."""
        place = f"projects/{self._state.project}/locations/{region}"
        cannot_read = Refused(
            403,
            f"Unable to retrieve the repository metadata for {place}/repositories/gcf-artifacts. "
            "Ensure that the Cloud Functions service account has 'artifactregistry.repositories."
            "list' and 'artifactregistry.repositories.get' permissions. You can add the "
            "permissions by granting the role 'roles/artifactregistry.reader'.",
        )
        address = self._agents.address("cloudfunctions")
        if address not in self._state.agents:
            self._agents.create("cloudfunctions")
            raise cannot_read
        if f"serviceAccount:{address}" not in self._state.members("project", _AGENT):
            raise cannot_read
        self._propagation.check(f"agent {address}", cannot_read)

    def _build(self, body: Json, name: str, region: str) -> None:
        builder = body["buildConfig"].get("serviceAccount", "").rpartition("/")[2]
        member = f"serviceAccount:{builder}"
        # GoogleCloudPlatform/magic-modules#11324.
        bucket = f"gcf-v2-sources-{self._state.number}-{region}"
        cannot_fetch = invalid(
            "Build failed with status: FAILURE and message: failed to Fetch: failed to download "
            f"archive gs://{bucket}/{name}/function-source.zip: Access to bucket {bucket} denied. "
            f"You must grant Storage Object Viewer permission to {builder}. If you are using VPC "
            "Service Controls, you must also grant it access to your service perimeter."
        )
        if member not in self._state.members("project", _READER):
            raise cannot_fetch
        self._propagation.check(grant_of("project", _READER, member), cannot_fetch)
        for role in _BUILDER:
            if member not in self._state.members("project", role):
                raise invalid(f"Build failed: {builder or 'the default account'} lacks {role}")

    def _check_secret(self, name: str, account: str) -> None:
        # Google: Cloud Run "secrets", all are checked at deployment. The text is that of
        # getsentry/eng-pipes#893, without the place in the service that it begins with.
        if name not in self._state.secrets or not self._state.secrets[name].versions:
            raise invalid(f"Secret {name} was not found.")
        denied = invalid(
            f"Permission denied on secret: projects/{self._state.number}/secrets/{name}/versions/"
            f"latest for Revision service account {account}. The service account used must be "
            f"granted the 'Secret Manager Secret Accessor' role ({_ACCESSOR}) at the secret, "
            "project or higher level."
        )
        thing, member = f"secrets/{name}", f"serviceAccount:{account}"
        if member not in self._state.members(thing, _ACCESSOR):
            raise denied
        self._propagation.check(grant_of(thing, _ACCESSOR, member), denied)


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

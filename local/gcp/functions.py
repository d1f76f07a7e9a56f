"""Cloud Run functions, which fail where their build or start would, and their Cloud Run services.

What the API refuses at once, and what fails after some minutes, are those of public deployment
logs. A function whose operation fails is kept as FAILED (assumed for a first deployment; Google:
Function.State).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
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
    take,
    update,
)
from local.gcp.iam import ServiceAgents, grant_of
from local.gcp.state import Function, GoogleState, Json
from local.http_server import JsonResponse

_PLACE: Final = "cloudfunctions/v2/projects/{project}/locations/{region}"
_ONE: Final = f"{_PLACE}/functions/{{name}}"
_DEFAULT_BUILDER: Final = (
    "cloudbuild/v1/projects/{project}/locations/{region}/defaultServiceAccount"
)
RUNTIMES: Final = ("python311", "python312", "python313")
ACCESSOR: Final = "roles/secretmanager.secretAccessor"
# Google: Cloud Run functions "custom service account for Cloud Build".
_BUILDER: Final = ("roles/logging.logWriter", "roles/artifactregistry.writer")
_READER: Final = "roles/storage.objectViewer"
_AGENT: Final = "roles/cloudfunctions.serviceAgent"
# Google: Cloud Functions API v2, ServiceConfig.IngressSettings; the first is the default.
_INGRESS: Final = ("ALLOW_ALL", "ALLOW_INTERNAL_ONLY", "ALLOW_INTERNAL_AND_GCLB")
# Without the first there is no build, without the second no start.
_NEEDED: Final = ("main.py", "requirements.txt")
# gcloud calls Cloud Run at an address of the region: `http://europe-west1-run.test/`.
_SERVICES: Final = "run/apis/serving.knative.dev/v1/namespaces/{project}/services"
_SERVICE: Final = f"{_SERVICES}/{{name}}"
# Google: "Allowing public access" (Cloud Run).
_IAM_CHECK_DISABLED: Final = "run.googleapis.com/invoker-iam-disabled"


class Functions:
    """The functions, each with the source that it was deployed from."""

    def __init__(
        self,
        state: GoogleState,
        agents: ServiceAgents,
        propagation: Propagation,
        addresses: Mapping[str, str],
    ) -> None:
        """Takes the state, and the addresses of functions that somebody runs."""
        self._state = state
        self._agents = agents
        self._propagation = propagation
        self._addresses = addresses
        self._uploads: dict[str, bytes] = {}
        self._failures: list[Json | None] = []  # of each operation

    def routes(self) -> tuple[Route, ...]:
        """Returns the operations that gcloud uses."""
        kept = self._state.functions
        return (
            Route("GET", f"{_PLACE}/runtimes", self._runtimes),
            Route("POST", f"{_PLACE}/functions:generateUploadUrl", self._upload_url),
            Route("PUT", "upload/{name}", self._upload),
            Route("GET", f"{_PLACE}/functions", self._list),
            Route("POST", f"{_PLACE}/functions", self._create, changes=True),
            Route("GET", _ONE, lambda call: JsonResponse(200, find(kept, call).body)),
            Route("PATCH", _ONE, self._update, changes=True),
            Route("DELETE", _ONE, self._delete, changes=True),
            Route("GET", f"{_PLACE}/operations/{{name}}", self._operation),
            Route("GET", _DEFAULT_BUILDER, self._default_builder),
        )

    def _runtimes(self, _: Call) -> JsonResponse:
        return listed("runtimes", [{"name": name, "environment": "GEN_2"} for name in RUNTIMES])

    def _upload_url(self, call: Call) -> JsonResponse:
        name = f"source-{len(self._uploads) + 1}.zip"
        self._uploads[name] = b""
        source = {"bucket": f"gcf-v2-uploads-{self._state.number}", "object": name}
        url = f"http://{call.headers['Host']}/upload/{name}"
        return JsonResponse(200, {"uploadUrl": url, "storageSource": source})

    def _upload(self, call: Call) -> JsonResponse:
        self._uploads[call.params["name"]] = call.body
        return JsonResponse(200, {})

    def _default_builder(self, _: Call) -> JsonResponse:
        account = f"{self._state.number}-compute@developer.gserviceaccount.com"
        name = f"projects/{self._state.project}/serviceAccounts/{account}"
        return JsonResponse(200, {"serviceAccountEmail": name})

    def _list(self, call: Call) -> JsonResponse:
        place = f"/locations/{call.params['region']}/"
        bodies = [one.body for one in self._state.functions.values()]
        return listed("functions", [body for body in bodies if place in body["name"]])

    def _create(self, call: Call) -> JsonResponse:
        name = call.query["functionId"]
        if name in self._state.functions:
            raise already_exists(name)
        return self._keep(name, call, call.fields())

    def _update(self, call: Call) -> JsonResponse:
        old = find(self._state.functions, call).body
        body = update(old, call.fields(), call.query["updateMask"])
        return self._keep(call.params["name"], call, body)

    def _delete(self, call: Call) -> JsonResponse:
        take(self._state.functions, call)
        name = call.params["name"]
        self._state.unchecked.discard(name)
        self._state.policies.pop(f"services/{name}", None)
        return self._started(call)

    def _started(self, call: Call, failure: Json | None = None) -> JsonResponse:
        self._failures.append(failure)
        name = f"{self._place(call)}/operations/operation-{len(self._failures)}"
        return JsonResponse(200, {"name": name})

    def _operation(self, call: Call) -> JsonResponse:
        number = int(call.params["name"].rpartition("-")[2])
        failure = self._failures[number - 1]
        name = f"{self._place(call)}/operations/operation-{number}"
        outcome = {"error": failure} if failure else {"response": {}}
        return JsonResponse(200, {"name": name, "done": True, "metadata": {}, **outcome})

    def _place(self, call: Call) -> str:
        return f"projects/{self._state.project}/locations/{call.params['region']}"

    def _keep(self, name: str, call: Call, body: Json) -> JsonResponse:
        """Refuses a function, or starts an operation, which may fail."""
        region, place = call.params["region"], self._place(call)
        service = body.get("serviceConfig", {})
        self._check(body, service, place)
        stored = body["buildConfig"]["source"]["storageSource"]["object"]
        failure = None
        try:
            self._build(body, name, region)
            _check_source(self._uploads[stored])
            for volume in service.get("secretVolumes", []):
                check_secret(
                    self._state, self._propagation, volume["secret"], service["serviceAccountEmail"]
                )
        except ApiError as refused:
            failure = {"code": 3, "message": refused.message}
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

    def _check(self, body: Json, service: Json, place: str) -> None:
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
        check_account(self._state, self._propagation, account)
        self._check_agent(place)

    def _check_agent(self, place: str) -> None:
        """The first deployment creates the agent, and is refused (firebase-tools#5244)."""
        cannot_read = ApiError(
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


def check_account(state: GoogleState, propagation: Propagation, account: str) -> None:
    """Refuses to run something as an account that Cloud Run does not know, or not yet.

    Raises:
        ApiError: with the text of privacysandbox/aggregation-service#47.
    """
    cannot_act = ApiError(
        403,
        f"Permission 'iam.serviceaccounts.actAs' denied on service account {account} (or it "
        "may not exist).",
    )
    if account not in state.accounts:
        raise cannot_act
    propagation.check(f"account {account} in Cloud Run", cannot_act)


def check_secret(state: GoogleState, propagation: Propagation, name: str, account: str) -> None:
    """Refuses what mounts a secret that its account may not read.

    Google: Cloud Run "secrets", all are checked at deployment.

    Raises:
        ApiError: with the text of getsentry/eng-pipes#893, without the place in the service that
            it begins with.
    """
    if name not in state.secrets or not state.secrets[name].versions:
        raise invalid(f"Secret {name} was not found.")
    denied = invalid(
        f"Permission denied on secret: projects/{state.number}/secrets/{name}/versions/"
        f"latest for Revision service account {account}. The service account used must be "
        f"granted the 'Secret Manager Secret Accessor' role ({ACCESSOR}) at the secret, "
        "project or higher level."
    )
    thing, member = f"secrets/{name}", f"serviceAccount:{account}"
    if member not in state.members(thing, ACCESSOR):
        raise denied
    propagation.check(grant_of(thing, ACCESSOR, member), denied)


def _check_source(source: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(source)) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        raise invalid("Build failed: the source is not a zip") from None
    for name in _NEEDED:
        if name not in names:
            raise invalid(f"Build failed: missing {name}")


class CloudRun:
    """The services in the shape of Kubernetes, as the v1 API has them."""

    def __init__(self, state: GoogleState) -> None:
        """Takes the state."""
        self._state = state

    def routes(self) -> tuple[Route, ...]:
        """Returns the operations that gcloud uses."""
        return (
            Route("GET", _SERVICES, self._list),
            Route("GET", _SERVICE, self._describe),
            Route("PUT", _SERVICE, self._replace, changes=True),
        )

    def _list(self, _: Call) -> JsonResponse:
        items = [self._shown(name) for name in self._state.functions]
        shown = {"apiVersion": "serving.knative.dev/v1", "kind": "ServiceList", "items": items}
        return JsonResponse(200, shown)

    def _describe(self, call: Call) -> JsonResponse:
        find(self._state.functions, call)
        return JsonResponse(200, self._shown(call.params["name"]))

    def _replace(self, call: Call) -> JsonResponse:
        find(self._state.functions, call)
        name = call.params["name"]
        annotations = call.fields()["metadata"].get("annotations", {})
        # gcloud writes `True`.
        if str(annotations.get(_IAM_CHECK_DISABLED, "")).lower() != "true":
            self._state.unchecked.discard(name)
        elif self._state.requires_invoker_iam:
            # Google: the constraint run.managed.requireInvokerIam. The text is that of a public
            # troubleshooting page, the status is assumed.
            raise ApiError(
                400,
                "Operation denied by org policy on resource "
                f"'{name}': constraints/run.managed.requireInvokerIam: "
                "invoker_iam_disabled is not currently available.",
                status="FAILED_PRECONDITION",
            )
        else:
            self._state.unchecked.add(name)
        return JsonResponse(200, self._shown(name))

    def _shown(self, name: str) -> Json:
        annotations = {"run.googleapis.com/ingress": "all"}
        if name in self._state.unchecked:
            annotations[_IAM_CHECK_DISABLED] = "true"
        url = self._state.functions[name].body["serviceConfig"]["uri"]
        kinds = ("Ready", "ConfigurationsReady", "RoutesReady")
        return {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": {
                "name": name,
                "namespace": self._state.number,
                "annotations": annotations,
                "generation": 1,
            },
            "spec": {
                "template": {"metadata": {}, "spec": {"containers": [{"image": name}]}},
                "traffic": [{"percent": 100, "latestRevision": True}],
            },
            "status": {
                "observedGeneration": 1,
                "conditions": [{"type": kind, "status": "True"} for kind in kinds],
                "url": url,
            },
        }

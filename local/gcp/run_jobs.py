"""Cloud Run's jobs in the shape of Kubernetes, as the v1 API has them; none is ever executed.

What is refused is what Cloud Run checks when a job is created: account, image and secrets.
"""

from __future__ import annotations

from typing import Final

from local.gcp.api import (
    Call,
    Propagation,
    Route,
    already_exists,
    find,
    invalid,
    take,
)
from local.gcp.functions import check_account, check_secret
from local.gcp.state import GoogleState, Json
from local.http_server import JsonResponse

# gcloud calls Cloud Run at an address of the region: `http://europe-west1-run.test/`.
_JOBS: Final = "run/apis/run.googleapis.com/v1/namespaces/{project}/jobs"
_JOB: Final = f"{_JOBS}/{{name}}"
_OMITTED: Final[tuple[object, ...]] = ("", [], {}, None)


class RunJobs:
    """The jobs."""

    def __init__(self, state: GoogleState, propagation: Propagation) -> None:
        """Takes the state, and how fast changes are noticed."""
        self._state = state
        self._propagation = propagation

    def routes(self) -> tuple[Route, ...]:
        """Returns the operations that gcloud uses."""
        kept = self._state.run_jobs
        return (
            Route("GET", _JOBS, self._list),
            Route("POST", _JOBS, self._create, changes=True),
            Route("GET", _JOB, lambda call: JsonResponse(200, find(kept, call))),
            Route("PUT", _JOB, self._replace, changes=True),
            Route("DELETE", _JOB, self._delete, changes=True),
        )

    def _list(self, _: Call) -> JsonResponse:
        shown = {"apiVersion": "run.googleapis.com/v1", "kind": "JobList"}
        return JsonResponse(200, {**shown, "items": [*self._state.run_jobs.values()]})

    def _create(self, call: Call) -> JsonResponse:
        job = call.fields()
        name = job["metadata"]["name"]
        if name in self._state.run_jobs:
            raise already_exists(name)
        return self._keep(name, job, 1)

    def _replace(self, call: Call) -> JsonResponse:
        old = find(self._state.run_jobs, call)
        return self._keep(
            call.params["name"], call.fields(), int(old["metadata"]["generation"]) + 1
        )

    def _delete(self, call: Call) -> JsonResponse:
        take(self._state.run_jobs, call)
        self._state.policies.pop(f"run_jobs/{call.params['name']}", None)
        return JsonResponse(200, {"kind": "Status", "status": "Success"})

    def _keep(self, name: str, job: Json, generation: int) -> JsonResponse:
        task = job["spec"]["template"]["spec"]["template"]["spec"]
        self._check(task)
        self._state.run_jobs[name] = {
            **_as_shown(job),
            "metadata": {
                **job["metadata"],
                "name": name,
                "namespace": self._state.number,
                "generation": generation,
            },
            "status": {
                "observedGeneration": generation,
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }
        return JsonResponse(200, self._state.run_jobs[name])

    def _check(self, task: Json) -> None:
        account = task["serviceAccountName"]
        check_account(self._state, self._propagation, account)
        if not 0 < int(task["timeoutSeconds"]) <= 168 * 3600:
            raise invalid("timeoutSeconds: must be at most 7 days")
        [container] = task["containers"]
        known = {
            f"{repository}/{image}"
            for repository, images in self._state.repositories.items()
            for image in images
        }
        if container["image"].split("/", 2)[2] not in known:
            raise invalid(f"Image '{container['image']}' not found.")
        for volume in task.get("volumes", []):
            secret = volume["secret"]["secretName"]
            check_secret(self._state, self._propagation, secret, account)


def _as_shown(value: Json) -> Json:
    """Returns what Google's JSON shows, without what is empty."""
    return {
        key: _as_shown(one) if isinstance(one, dict) else one
        for key, one in value.items()
        if one not in _OMITTED
    }

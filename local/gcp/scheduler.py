"""Cloud Scheduler's jobs."""

from __future__ import annotations

from typing import Final

from local.gcp.api import Call, Route, already_exists, collection, find, invalid, update
from local.gcp.state import GoogleState, Json
from local.http_server import JsonResponse

_PLACE: Final = "cloudscheduler/v1/projects/{project}/locations/{region}"


class Scheduler:
    """Jobs that call an address."""

    def __init__(self, state: GoogleState) -> None:
        """Takes the state."""
        self._state = state

    def routes(self) -> tuple[Route, ...]:
        """Returns the operations that gcloud uses."""
        return (
            *collection(_PLACE, "jobs", self._state.jobs),
            Route("POST", f"{_PLACE}/jobs", self._create, changes=True),
            Route("PATCH", f"{_PLACE}/jobs/{{name}}", self._update, changes=True),
        )

    def _create(self, call: Call) -> JsonResponse:
        fields = call.fields()
        name = fields["name"].rpartition("/")[2]
        if name in self._state.jobs:
            raise already_exists(name)
        return self._keep(name, {**fields, "state": "ENABLED"})

    def _update(self, call: Call) -> JsonResponse:
        old = find(self._state.jobs, call)
        job = update(old, call.fields(), call.query["updateMask"])
        return self._keep(call.params["name"], job)

    def _keep(self, name: str, job: Json) -> JsonResponse:
        target = job["httpTarget"]
        token = target.get("oidcToken") or target.get("oauthToken") or {}
        caller = token.get("serviceAccountEmail")
        if caller and caller not in self._state.accounts:
            raise invalid(f"Service account {caller} was not found.")
        if not 15 <= float(job.get("attemptDeadline", "180s").removesuffix("s")) <= 1800:
            raise invalid("attemptDeadline must be from 15 seconds to 30 minutes.")
        self._state.jobs[name] = job
        return JsonResponse(200, job)

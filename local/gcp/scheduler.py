"""Cloud Scheduler's jobs."""

from __future__ import annotations

from typing import Final

from local.gcp.api import Call, Response, Route, already_exists, find, invalid
from local.gcp.state import GoogleState, Json

_ALL: Final = "cloudscheduler/v1/projects/{project}/locations/{region}/jobs"


class Scheduler:
    """Jobs that call an address."""

    def __init__(self, state: GoogleState) -> None:
        """Takes the state."""
        self._state = state

    def routes(self) -> tuple[Route, ...]:
        """Returns the operations that gcloud uses."""
        kept = self._state.jobs
        return (
            Route("GET", _ALL, lambda _: Response({"jobs": [*kept.values()]})),
            Route("POST", _ALL, self._create, changes=True),
            Route("GET", f"{_ALL}/{{job}}", lambda call: Response(find(kept, call, "job"))),
            Route("PATCH", f"{_ALL}/{{job}}", self._update, changes=True),
            Route("DELETE", f"{_ALL}/{{job}}", self._delete, changes=True),
        )

    def _create(self, call: Call) -> Response:
        fields = call.fields()
        name = fields["name"].rpartition("/")[2]
        if name in self._state.jobs:
            raise already_exists(name)
        return Response(self._keep(name, {**fields, "state": "ENABLED"}))

    def _update(self, call: Call) -> Response:
        job, sent = dict(find(self._state.jobs, call, "job")), call.fields()
        for path in call.query["updateMask"].split(","):
            key, _, inner = path.partition(".")
            if inner:
                job[key] = {**job.get(key, {}), inner: sent[key][inner]}
            else:
                job[key] = sent[key]
        return Response(self._keep(call.params["job"], job))

    def _delete(self, call: Call) -> Response:
        find(self._state.jobs, call, "job")
        del self._state.jobs[call.params["job"]]
        return Response()

    def _keep(self, name: str, job: Json) -> Json:
        caller = job["httpTarget"].get("oidcToken", {}).get("serviceAccountEmail")
        if caller and caller not in self._state.accounts:
            raise invalid(f"Service account {caller} was not found.")
        if not 15 <= float(job.get("attemptDeadline", "180s").removesuffix("s")) <= 1800:
            raise invalid("attemptDeadline must be from 15 seconds to 30 minutes.")
        self._state.jobs[name] = job
        return job

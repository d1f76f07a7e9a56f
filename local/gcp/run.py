"""Cloud Run's services, each of which runs a function: what gcloud reads and changes of them."""

from __future__ import annotations

from typing import Final

from local.gcp.call import Answer, Call, Route
from local.gcp.problems import Refused, not_found
from local.gcp.state import GoogleState, Json

# gcloud calls them at an address of the region: `http://europe-west1-run.test/`.
_ALL: Final = "run/apis/serving.knative.dev/v1/namespaces/{project}/services"
_ONE: Final = f"{_ALL}/{{service}}"
# Google: "Allowing public access" (Cloud Run).
_UNCHECKED: Final = "run.googleapis.com/invoker-iam-disabled"


class Run:
    """The services in the shape of Kubernetes, as the v1 API has them."""

    def __init__(self, state: GoogleState) -> None:
        """Takes what there is."""
        self._state = state

    def routes(self) -> tuple[Route, ...]:
        """The operations that gcloud uses."""
        return (
            Route("GET", _ALL, self._list),
            Route("GET", _ONE, self._describe),
            Route("PUT", _ONE, self._replace, changes=True),
        )

    def _list(self, call: Call) -> Answer:  # noqa: ARG002 (all calls are alike)
        items = [self._shown(name) for name in self._state.functions]
        return Answer(
            {"apiVersion": "serving.knative.dev/v1", "kind": "ServiceList", "items": items}
        )

    def _describe(self, call: Call) -> Answer:
        return Answer(self._shown(self._known(call)))

    def _replace(self, call: Call) -> Answer:
        name = self._known(call)
        annotations = call.fields()["metadata"].get("annotations", {})
        # gcloud writes `True`.
        if str(annotations.get(_UNCHECKED, "")).lower() != "true":
            self._state.unchecked.discard(name)
        elif self._state.requires_invoker_iam:
            # Google: the constraint run.managed.requireInvokerIam. The text is that of a public
            # troubleshooting page, the status is assumed.
            raise Refused(
                400,
                "Operation denied by org policy on resource "
                f"'{name}': constraints/run.managed.requireInvokerIam: "
                "invoker_iam_disabled is not currently available.",
                status="FAILED_PRECONDITION",
            )
        else:
            self._state.unchecked.add(name)
        return Answer(self._shown(name))

    def _known(self, call: Call) -> str:
        name = call.params["service"]
        if name not in self._state.functions:
            raise not_found(f"services/{name}")
        return name

    def _shown(self, name: str) -> Json:
        annotations = {"run.googleapis.com/ingress": "all"}
        if name in self._state.unchecked:
            annotations[_UNCHECKED] = "true"
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

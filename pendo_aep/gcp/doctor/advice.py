"""What mends `receive`: gcloud commands for a deployment, words for a process of one's own."""

from __future__ import annotations

from dataclasses import dataclass

from pendo_aep.gcp.doctor.deployment import Deployment


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do when `receive` does not answer as it should.

    Attributes:
        reach: nothing, or something else, answers at its address.
        public: it is there, but not for everybody.
        secret: its secret is another.
        settings: its settings are not what they should be.
        logs: it fails, and its log says why.
    """

    reach: str
    public: str
    secret: str
    settings: str
    logs: str


def of_deployment(deployment: Deployment, secret: str) -> Advice:
    """For a function on Google Cloud, whose secret has this name."""
    place = f"--region={deployment.region} --project={deployment.project}"
    return Advice(
        reach=f"gcloud functions describe {deployment.receive} --gen2 {place} "
        "--format='value(state,serviceConfig.uri)'",
        public=_public(deployment),
        secret=f"gcloud secrets versions add {secret} --data-file=FILE "
        f"--project={deployment.project}",
        settings=deployment.deploy,
        logs=logs(deployment, deployment.receive),
    )


def _public(deployment: Deployment) -> str:
    """In the way that the configuration chooses; where it leaves the choice, the narrower one."""
    service, project = f"{deployment.receive} --region={deployment.region}", deployment.project
    if deployment.values.receive_access == "no-iam-check":
        return f"gcloud run services update {service} --no-invoker-iam-check --project={project}"
    return (
        f"gcloud run services add-iam-policy-binding {service} --member=allUsers "
        f"--role=roles/run.invoker --project={project}"
    )


def of_process() -> Advice:
    """For one that somebody has started on a machine of theirs."""
    return Advice(
        reach="functions-framework --target=receive --port=8080",
        public="functions-framework --target=receive --port=8080",
        secret="export PENDO_WEBHOOK_SECRETS=SECRET  # the same here and for receive",  # noqa: S106
        settings="export PENDO_ALLOW_UNSIGNED=false  # for receive",
        logs="look at what receive has printed",
    )


def logs(deployment: Deployment, function: str) -> str:
    """Its last log lines."""
    return (
        f"gcloud functions logs read {function} --gen2 --region={deployment.region} "
        f"--limit=20 --project={deployment.project}"
    )

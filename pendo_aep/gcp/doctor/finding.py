"""What the doctor reports, and the commands that fix `receive`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pendo_aep.gcp.doctor.deployment import Deployment


class Verdict(StrEnum):
    """The result of a check."""

    OK = "ok"
    WRONG = "wrong"
    UNKNOWN = "unknown"
    """It could not be checked, which counts as a failure as well."""


class Subject(StrEnum):
    """What a finding is about, in the order of the report."""

    FUNCTIONS = "functions"
    TOPICS = "topics"
    SUBSCRIPTIONS = "subscriptions"
    SCHEDULER = "scheduler"
    IAM = "rights"
    SECRETS = "secrets"
    DEAD_LETTERS = "dead letters"
    DATASET = "dataset"
    WEBHOOK = "webhook"
    TEST_EVENT = "journey"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; its fields are the keys of `doctor --json`.

    Attributes:
        text: what was found, with names but without secrets and personal data.
        mend: the command that fixes it; empty if nothing is wrong.
    """

    subject: Subject
    verdict: Verdict
    text: str
    mend: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether there is nothing to do."""
        return self.verdict is Verdict.OK


def ok(subject: Subject, text: str) -> Finding:
    """Returns that something is as it should be."""
    return Finding(subject, Verdict.OK, text)


def wrong(subject: Subject, text: str, mend: str) -> Finding:
    """Returns that something is not as it should be."""
    return Finding(subject, Verdict.WRONG, text, mend)


def unknown(subject: Subject, text: str, mend: str) -> Finding:
    """Returns that something could not be checked."""
    return Finding(subject, Verdict.UNKNOWN, text, mend)


@dataclass(frozen=True, slots=True)
class Remediation:
    """What to do when `receive` does not respond as it should.

    Attributes:
        reach: nothing, or something else, answers at its address.
        public: not everybody may call it.
        secret: it has another secret.
        settings: its settings are wrong.
        logs: it fails, and its log says why.
    """

    reach: str
    public: str
    secret: str
    settings: str
    logs: str


def deployment_remediation(deployment: Deployment, secret: str) -> Remediation:
    """Returns the commands for a function on Google Cloud, whose secret has this name."""
    place = f"--region={deployment.region} --project={deployment.project}"
    return Remediation(
        reach=f"gcloud functions describe {deployment.receive} --gen2 {place} "
        "--format='value(state,serviceConfig.uri)'",
        public=make_public_command(deployment),
        secret=f"gcloud secrets versions add {secret} --data-file=FILE "
        f"--project={deployment.project}",
        settings=deployment.deploy_command,
        logs=read_logs_command(deployment, deployment.receive),
    )


def process_remediation() -> Remediation:
    """Returns what to do about a process that somebody has started on their own machine."""
    return Remediation(
        reach="functions-framework --target=receive --port=8080",
        public="functions-framework --target=receive --port=8080",
        secret="export PENDO_WEBHOOK_SECRETS=SECRET  # the same here and for receive",  # noqa: S106
        settings="export PENDO_ALLOW_UNSIGNED=false  # for receive",
        logs="look at what receive has printed",
    )


def make_public_command(deployment: Deployment) -> str:
    """Returns what lets everybody call `receive`: by policy, unless the config says otherwise."""
    service, project = f"{deployment.receive} --region={deployment.region}", deployment.project
    if deployment.values.receive_access == "no-iam-check":
        return f"gcloud run services update {service} --no-invoker-iam-check --project={project}"
    return (
        f"gcloud run services add-iam-policy-binding {service} --member=allUsers "
        f"--role=roles/run.invoker --project={project}"
    )


def read_logs_command(deployment: Deployment, function: str) -> str:
    """Returns what shows the last log lines of a function."""
    return (
        f"gcloud functions logs read {function} --gen2 --region={deployment.region} "
        f"--limit=20 --project={deployment.project}"
    )

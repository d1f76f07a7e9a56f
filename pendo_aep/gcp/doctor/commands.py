"""The gcloud commands that observe a deployment; none of them changes anything."""

from __future__ import annotations

from pendo_aep.aep.misconfiguration import ALARM, WITHOUT_HEADER
from pendo_aep.dead_letters import Reason
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.gcloud import Command


def project(deployment: Deployment) -> Command:
    """Shows the number of the project."""
    return ("projects", "describe", deployment.project)


def project_policy(deployment: Deployment) -> Command:
    """Shows who may do what in the whole project."""
    return ("projects", "get-iam-policy", deployment.project)


def function(deployment: Deployment, name: str) -> Command:
    """Shows a function with its settings."""
    return ("functions", "describe", name, "--gen2", f"--region={deployment.region}")


def function_policy(deployment: Deployment, name: str) -> Command:
    """Shows who may call a function: its service on Cloud Run has the same name."""
    return ("run", "services", "get-iam-policy", name, f"--region={deployment.region}")


def service(deployment: Deployment, name: str) -> Command:
    """Shows the Cloud Run service of a function."""
    return ("run", "services", "describe", name, f"--region={deployment.region}")


def topic(name: str) -> Command:
    """Shows a topic."""
    return ("pubsub", "topics", "describe", name)


def topic_policy(name: str) -> Command:
    """Shows who may publish to a topic."""
    return ("pubsub", "topics", "get-iam-policy", name)


def subscription(name: str) -> Command:
    """Shows a subscription."""
    return ("pubsub", "subscriptions", "describe", name)


def subscription_policy(name: str) -> Command:
    """Shows who may pull from a subscription."""
    return ("pubsub", "subscriptions", "get-iam-policy", name)


def job(deployment: Deployment, name: str) -> Command:
    """Shows a job of Cloud Scheduler."""
    return ("scheduler", "jobs", "describe", name, f"--location={deployment.region}")


def run_job(deployment: Deployment, name: str) -> Command:
    """Shows a Cloud Run job."""
    return ("run", "jobs", "describe", name, f"--region={deployment.region}")


def run_job_policy(deployment: Deployment, name: str) -> Command:
    """Shows who may run it."""
    return ("run", "jobs", "get-iam-policy", name, f"--region={deployment.region}")


def secret_versions(secret: str) -> Command:
    """Shows the versions of a secret, without their values."""
    return ("secrets", "versions", "list", secret)


def secret_policy(secret: str) -> Command:
    """Shows who may read a secret."""
    return ("secrets", "get-iam-policy", secret)


def secret_value(secret: str, version: str) -> Command:
    """Shows the value of a secret: to sign with, never to be printed."""
    return ("secrets", "versions", "access", version, f"--secret={secret}")


def log_lines(event_id: str) -> Command:
    """Shows what the functions logged about one event, newest first."""
    return _read_log(f'jsonPayload.eventId="{event_id}"', limit=50)


def rejected_lines() -> Command:
    """Shows what the functions logged about events that AEP refused, newest first."""
    return _read_log(f'jsonPayload.reason="{Reason.REJECTED}"', limit=200)


def header_lines() -> Command:
    """Shows a line of the functions that says that AEP misses a header."""
    return _read_log(f'jsonPayload.message="{ALARM.format(advice=WITHOUT_HEADER)}"', limit=1)


def initial_commands(deployment: Deployment) -> list[Command]:
    """Returns what can be observed by the names in the configuration."""
    found = [project(deployment), project_policy(deployment), rejected_lines()]
    if deployment.drain:
        found.append(job(deployment, deployment.drain_job))
    for name in (deployment.receive, *deployment.delivery_functions):
        found += [function(deployment, name), function_policy(deployment, name)]
        found.append(service(deployment, name))
    for name in (deployment.events_topic, deployment.dead_letter_topic):
        found += [topic(name), topic_policy(name)]
    for name in (*deployment.event_subscriptions, deployment.dead_letter_subscription):
        found += [subscription(name), subscription_policy(name)]
    if reconcile := deployment.reconcile:
        found += [show(deployment, reconcile.job) for show in (run_job, run_job_policy, job)]
        found.append(secret_policy(reconcile.secret))
    return found


def _read_log(query: str, *, limit: int) -> Command:
    return ("logging", "read", query, "--freshness=1h", f"--limit={limit}")

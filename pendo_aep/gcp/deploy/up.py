"""From an empty project to a running pipeline, in the order in which resources need each other."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from pendo_aep.gcp.config import Config, InvalidConfig
from pendo_aep.gcp.deploy import (
    desired_resources,
    functions,
    iam_bindings,
    monitoring,
    reconcile_job,
)
from pendo_aep.gcp.deploy.resource import Inventory, Resource, ensure
from pendo_aep.gcp.gcloud import Gcloud, run_parallel

# What a deployment of the functions changes.
_DEPLOYED_KINDS: Final = ("functions", "services")


def up(config: Config, gcloud: Gcloud) -> str:
    """Creates what is missing, changes what differs, and returns the address of `receive`.

    Raises:
        InvalidConfig: there is no such project, or a secret was not given.
        CannotUpdate: a resource would have to be created again.
    """
    secrets = desired_resources.given_secrets(config)  # first of all: a file may be missing
    config = with_project_number(config, gcloud)
    _enable_services(config, gcloud)
    kinds = ("accounts", "topics", "subscriptions", "secrets", *_DEPLOYED_KINDS)
    inventory = Inventory(config, gcloud, [*kinds, *monitoring.KINDS, *reconcile_job.KINDS])
    apply = partial(ensure, inventory=inventory, gcloud=gcloud)
    grant = partial(iam_bindings.grant, inventory=inventory, gcloud=gcloud)
    store = partial(desired_resources.store_secret, inventory=inventory, gcloud=gcloud)
    lock = partial(iam_bindings.remove_other_callers, inventory=inventory, gcloud=gcloud)

    iam_bindings.create_service_agents(config, gcloud)
    run_parallel(store, secrets)
    run_parallel(apply, [*desired_resources.accounts(config), *desired_resources.topics(config)])
    run_parallel(apply, desired_resources.pull_subscriptions(config))
    iam_bindings.grant_builder(config, gcloud)
    if config.reconcile:
        reconcile_job.grant_reading(config, gcloud)
    run_parallel(grant, iam_bindings.by_resource(iam_bindings.resource_bindings(config)))
    callers = iam_bindings.by_resource(iam_bindings.function_bindings(config))
    # Before the functions are deployed, which takes minutes and silently removes `allUsers`.
    run_parallel(lock, callers)
    iam_bindings.require_invoker_check(config, inventory, gcloud)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        monitoring.apply_metrics_and_dashboard(config, inventory, gcloud, folder)
        source = functions.source_hash(gcloud)
        built = [
            functions.function_resource(config, one, source, folder)
            for one in functions.desired_functions(config)
        ]
        # The alerts wait for minutes until the metrics are known, the functions until they are
        # built. All of them end, whichever fails: a pipeline that runs has its alerts.
        alerts = partial(monitoring.apply_alerts, config, inventory, gcloud, folder)
        run_job = partial(reconcile_job.apply, config, inventory, gcloud, folder)
        run_parallel(_call, [*(partial(apply, one) for one in built), alerts, run_job])
    deployed = Inventory(config, gcloud, _DEPLOYED_KINDS)
    run_parallel(apply, _calling_resources(config, deployed))
    run_parallel(grant, callers)
    if config.reconcile:
        grant([reconcile_job.caller(config)])
    # Last, because an organisation may forbid it.
    iam_bindings.make_receive_public(config, inventory, deployed, gcloud)
    monitoring.apply_log_exclusion(config, gcloud)
    return functions.function_url(config, "RECEIVE", deployed)


def with_project_number(config: Config, gcloud: Gcloud) -> Config:
    """Returns the config with the number of its project.

    Raises:
        InvalidConfig: there is no such project.
    """
    project = gcloud.read("projects", "describe", config["PROJECT"])
    if project is None:
        raise InvalidConfig(f"PROJECT: there is no project {config['PROJECT']}, or not for you")
    return config.with_number(project["projectNumber"])


def _call(act: Callable[[], object]) -> None:
    act()


def _enable_services(config: Config, gcloud: Gcloud) -> None:
    enabled = {one["config"]["name"] for one in gcloud.read("services", "list", "--enabled") or []}
    if missing := [name for name in desired_resources.services(config) if name not in enabled]:
        gcloud.change("services", "enable", *missing)


def _calling_resources(config: Config, deployed: Inventory) -> Iterator[Resource]:
    """Yields what calls the functions, and so needs their addresses."""
    if config.push:
        url = functions.function_url(config, "DELIVER", deployed)
        yield desired_resources.push_subscription(config, url)
    if config.drain:
        url = functions.function_url(config, "DRAIN", deployed)
        yield desired_resources.scheduler_job(config, url)
    if config.reconcile:
        yield reconcile_job.scheduler_job(config)

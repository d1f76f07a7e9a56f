"""From an empty project to a running pipeline, in the order in which one thing needs another."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from pendo_aep.gcp.deploy import access, functions, monitoring, parts, request_logs, rights, secrets
from pendo_aep.gcp.deploy.config import Config, ConfigWrong
from pendo_aep.gcp.deploy.gcloud import Gcloud
from pendo_aep.gcp.deploy.inventory import Inventory
from pendo_aep.gcp.deploy.part import Part, ensure
from pendo_aep.gcp.deploy.together import together

# What a deployment of the functions changes.
_RUNNING: Final = ("functions", "services")


def up(config: Config, gcloud: Gcloud) -> str:
    """Makes what is missing, changes what differs, and answers where `receive` is.

    Raises:
        ConfigWrong: the project is not there, or a secret was not given.
        GcloudFailed: gcloud could not.
        PartWrong: something would have to be made anew.
    """
    given = secrets.secrets(config)  # before anything is called: a file may be missing
    config = in_project(config, gcloud)
    _enable_services(config, gcloud)
    kinds = ["accounts", "topics", "subscriptions", "secrets", *_RUNNING, *monitoring.KINDS]
    inventory = Inventory(config, gcloud, [*kinds, "jobs"] if config.drain else kinds)
    make = partial(ensure, inventory=inventory, gcloud=gcloud)
    grant = partial(rights.grant, inventory=inventory, gcloud=gcloud)

    rights.create_agents(config, gcloud)
    together(partial(secrets.keep, inventory=inventory, gcloud=gcloud), given)
    together(make, [*parts.accounts(config), *parts.topics(config)])
    together(make, parts.pulled(config))
    rights.grant_in_project(config, gcloud)
    together(grant, rights.by_thing(rights.on_places(config)))
    calls = rights.by_thing(rights.on_functions(config))
    # Before the functions are deployed, which takes minutes and removes `allUsers` without a word.
    together(partial(rights.remove_other_callers, inventory=inventory, gcloud=gcloud), calls)
    access.close(config, inventory, gcloud)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        monitoring.measure(config, inventory, gcloud, folder)
        source = functions.source_hash(gcloud)
        built = [functions.part(config, one, source, folder) for one in functions.functions(config)]
        # The alerts wait for minutes until the metrics are known, the functions until they are
        # built. All of it ends, whichever fails: a pipeline that runs has its alerts.
        alert = partial(monitoring.alert, config, inventory, gcloud, folder)
        together(_call, [*(partial(make, one) for one in built), alert])
    deployed = Inventory(config, gcloud, _RUNNING)
    together(make, _callers(config, deployed))
    together(grant, calls)
    # Last, for an organisation may forbid these.
    access.open_receive(config, inventory, deployed, gcloud)
    request_logs.apply(config, gcloud)
    return functions.address(config, "RECEIVE", deployed)


def _call(act: Callable[[], object]) -> None:
    act()


def in_project(config: Config, gcloud: Gcloud) -> Config:
    """The config, with the number of its project.

    Raises:
        ConfigWrong: there is no such project.
        GcloudFailed: gcloud could not look.
    """
    seen = gcloud.look("projects", "describe", config["PROJECT"])
    if seen is None:
        raise ConfigWrong(f"PROJECT: there is no project {config['PROJECT']}, or not for you")
    return config.in_project(seen["projectNumber"])


def _enable_services(config: Config, gcloud: Gcloud) -> None:
    enabled = {one["config"]["name"] for one in gcloud.look("services", "list", "--enabled") or []}
    if missing := [name for name in parts.services(config) if name not in enabled]:
        gcloud.change("services", "enable", *missing)


def _callers(config: Config, deployed: Inventory) -> list[Part]:
    """What calls the functions, and so must know where they are."""
    found = []
    if config.push:
        found.append(parts.pushed(config, functions.address(config, "DELIVER", deployed)))
    if config.drain:
        found.append(parts.job(config, functions.address(config, "DRAIN", deployed)))
    return found

"""What happens to a project: made, looked at, changed, meddled with, destroyed, run by run."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from local.gcp import GoogleServer
from pendo_aep.gcp.doctor.config import read_config
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.examination import see
from pendo_aep.gcp.doctor.gcloud import GcloudProgram
from pendo_aep.gcp.doctor.look import Looks
from tests.unit.gcp.deploy.site import AEP_SECRET, ID, Chapter, Site

_DATA = Path(__file__).with_name("data")
STRANGER = "user:somebody@example.com"
THEIR_EXCLUSION = {"name": "theirs", "filter": "severity=DEBUG"}
_FOR_A_WHILE = {"title": "for a while", "expression": "request.time < timestamp('2030-01-01')"}
_SECRETS = {"AEP_CLIENT_SECRET": AEP_SECRET}


@dataclass(frozen=True, slots=True)
class Story:
    """What happened to a project, run by run.

    Attributes:
        made: from nothing.
        again: once more, with nothing changed.
        looks: what the doctor saw then.
        changed: some values of the config, and some things by hand.
        forbidden: an alert is gone and nobody may call `receive`, in an organisation that allows
            neither `allUsers` nor a service without its check; then the latter; then once more.
        asked: `destroy.sh`, answered with no.
        gone: `destroy.sh`, without a question.
        gone_again: once more.
        broken: a project in which calls fail in the middle, run by run, until all is made.
    """

    made: Chapter
    again: Chapter
    deployment: Deployment
    looks: Looks
    changed: Chapter
    forbidden: list[Chapter]
    asked: Chapter
    gone: Chapter
    gone_again: Chapter
    broken: list[Chapter]

    @property
    def commands(self) -> list[list[str]]:
        """Every gcloud that ran."""
        others = (*self.forbidden, self.asked, self.gone, *self.broken)
        chapters = (self.made, self.again, self.changed, *others)
        return [command for chapter in chapters for command in chapter.commands]


def table(name: str) -> Any:
    """A data file."""
    return json.loads((_DATA / f"{name}.json").read_text("utf-8"))


async def tell(emulator: str, gcloud: str, folders: pytest.TempPathFactory) -> Story:
    """Runs all of it, some three minutes."""
    async with GoogleServer(emulator, project=ID) as google:
        site = Site(google, gcloud, folders.mktemp("whole"))
        config = site.config()
        made = await site.run("deploy.sh", secrets=_SECRETS)
        again = await site.run("deploy.sh")
        with patch.dict(os.environ, site.environment):
            deployment = read_config(config, None, None)
            looks = await see(deployment, GcloudProgram(ID))
        _meddle(google)
        site.config(**table("changed")["config"])
        changed = await site.run("deploy.sh", secrets={"PENDO_WEBHOOK_SECRETS": "canary-new"})
        forbidden = await _forbid(google, site)
        google.state.backlog.update({"pendo-events-deliver": 3, "pendo-events-dead-kept": 2})
        asked = await site.run("destroy.sh", stdin="no\n")
        gone = await site.run("destroy.sh", "--yes")
        gone_again = await site.run("destroy.sh", "--yes")
    async with GoogleServer(emulator, project=ID) as google:
        site = Site(google, gcloud, folders.mktemp("broken"))
        site.config()
        google.propagation.refusals = 1
        broken = []
        for count in (9, 20, None):
            google.fail_after = count
            broken.append(await site.run("deploy.sh", secrets=_SECRETS))
    return Story(
        made, again, deployment, looks, changed, forbidden, asked, gone, gone_again, broken
    )


async def _forbid(google: GoogleServer, site: Site) -> list[Chapter]:
    """What an organisation's policies do to somebody who deploys."""
    state = google.state
    state.policies["services/receive"]["bindings"] = []
    del state.alert_policies[min(state.alert_policies)]
    state.restricts_domains = state.requires_invoker_iam = True
    refused = await site.run("deploy.sh")
    state.requires_invoker_iam = False
    return [refused, await site.run("deploy.sh"), await site.run("deploy.sh")]


def _meddle(google: GoogleServer) -> None:
    """What somebody does by hand, in the console."""
    state = google.state
    state.policies["services/receive"]["bindings"] = []
    state.exclusions["pendo-to-aep-receive"]["filter"] = "severity=INFO"
    state.exclusions["theirs"] = THEIR_EXCLUSION
    state.policies["services/deliver"]["bindings"] += [
        {"role": "roles/run.invoker", "members": ["allUsers"]},
        {"role": "roles/run.servicesInvoker", "members": [STRANGER], "condition": _FOR_A_WHILE},
    ]
    state.policies["services/drain"]["bindings"][0]["members"].append("allAuthenticatedUsers")
    state.unchecked.add("drain")
    del state.metrics["pendo-received"]
    state.metrics["pendo-delivered"]["filter"] = "severity=ERROR"
    _one(state.alert_policies)["combiner"] = "AND"
    _one(state.dashboards)["mosaicLayout"]["columns"] = 12


def _one(things: dict[str, Any]) -> Any:
    """The first by what it shows."""
    return min(things.values(), key=lambda thing: str(thing["displayName"]))


def outline(chapter: Chapter) -> dict[str, Any]:
    """What there is, without what differs from run to run: Google's numbers, and secrets."""
    state = chapter.state
    names = {channel["name"]: channel["displayName"] for channel in state.channels.values()}
    functions = {name: dict(one.body) for name, one in state.functions.items()}
    for body in functions.values():
        body["buildConfig"] = {k: v for k, v in body["buildConfig"].items() if k != "source"}
        body["labels"] = sorted(body["labels"])  # one has the source's hash, which may be edited
    policies = {
        one["displayName"]: {
            **one,
            "name": "",
            "notificationChannels": [names[c] for c in one["notificationChannels"]],
        }
        for one in state.alert_policies.values()
    }
    return {
        "services": state.services,
        "agents": state.agents,
        "rights": state.rights,
        "accounts": state.accounts,
        "secrets": {name: len(one.versions) for name, one in state.secrets.items()},
        "functions": functions,
        "jobs": state.jobs,
        "metrics": state.metrics,
        "policies": policies,
        "exclusions": state.exclusions,
        "dashboards": [{**d, "name": "", "etag": ""} for d in state.dashboards.values()],
        "channels": sorted(names.values()),
        "topics": chapter.topics,
        "subscriptions": chapter.subscriptions,
    }

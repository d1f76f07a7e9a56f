"""From a running pipeline back to an empty project: the callers first, the accounts last."""

from __future__ import annotations

import json
import os
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from pendo_aep.gcp.config import Config
from pendo_aep.gcp.deploy import (
    desired_resources,
    functions,
    iam_bindings,
    monitoring,
    reconcile_job,
)
from pendo_aep.gcp.deploy.resource import Inventory, Resource
from pendo_aep.gcp.deploy.up import with_project_number
from pendo_aep.gcp.gcloud import GROUPS, Command, Gcloud, GcloudFailed, run_parallel

_MONITORING: Final = "https://monitoring.googleapis.com/"
_UNDELIVERED: Final = "pubsub.googleapis.com/subscription/num_undelivered_messages"
_TIMEOUT_SECONDS: Final = 30.0
# Google: Pub/Sub metrics are sampled each minute, and visible up to some minutes later.
_METRIC_DELAY: Final = timedelta(minutes=10)

Deletion: TypeAlias = tuple[str, str, Command]
"""A kind and a name in the inventory, and the command that deletes it."""


class Teardown:
    """Lists what exists, warns of what would be lost, and deletes it."""

    def __init__(self, config: Config, gcloud: Gcloud) -> None:
        """Lists everything that the config names.

        Raises:
            InvalidConfig: there is no such project.
        """
        # What an earlier choice has created is deleted as well.
        chosen = {"DEPLOY_PUSH": "true", "DEPLOY_DRAIN": "true", "RECONCILE_SCHEDULE": "any"}
        all_of_it = {**config.values, **chosen}
        self._config = replace(with_project_number(config, gcloud), values=all_of_it)
        self._gcloud = gcloud
        self._inventory = Inventory(self._config, gcloud, [*GROUPS])

    def warn(self, say: Callable[[str], None]) -> None:
        """Reports which messages would be lost, as far as that is known."""
        config = self._config
        dead_letters = config["DEAD_LETTER_SUBSCRIPTION"]
        names = (config["PUSH_SUBSCRIPTION"], config["DRAIN_SUBSCRIPTION"], dead_letters)
        existing = [name for name in names if name in self._inventory["subscriptions"]]
        if not existing:
            return
        try:
            counts = undelivered_counts(config["PROJECT"], self._gcloud)
        except (GcloudFailed, OSError) as error:
            reason = str(error).strip().splitlines()[-1]
            say(f"! how many messages would be lost is not known: {reason}")
            return
        for name in existing:
            what = "dead letters" if name == dead_letters else "undelivered events"
            if name not in counts:
                say(f"! {name}: how many {what} would be lost is not known")
            elif counts[name]:
                say(f"! {name}: {counts[name]} {what} would be lost")

    def run(self) -> None:
        """Deletes everything, with what it holds."""
        config, any_url = self._config, ""
        for one in reconcile_job.deletions(config):
            self._delete_resources([one])
        self._delete_resources(
            [
                desired_resources.scheduler_job(config, any_url),
                desired_resources.push_subscription(config, any_url),
                *desired_resources.pull_subscriptions(config),
            ]
        )
        self._delete(
            ("functions", config[f"{kind}_FUNCTION"], functions.delete_command(config, kind))
            for kind in functions.KINDS
        )
        self._delete_resources(desired_resources.topics(config))
        names = (config["PENDO_SECRET"], config["AEP_SECRET"], config["RECONCILE_SECRET"])
        self._delete(("secrets", name, ("secrets", "delete", name)) for name in names)
        monitoring.delete_monitoring(config, self._inventory, self._gcloud)
        monitoring.remove_log_exclusion(config, self._gcloud)
        iam_bindings.revoke_builder(config, self._gcloud)
        reconcile_job.revoke_reading(config, self._gcloud, with_role=True)
        self._delete_resources(desired_resources.accounts(config))

    def _delete_resources(self, resources: Iterable[Resource]) -> None:
        self._delete((one.kind, one.name, one.delete) for one in resources)

    def _delete(self, unwanted: Iterable[Deletion]) -> None:
        existing = [words for kind, name, words in unwanted if name in self._inventory[kind]]
        run_parallel(self._gcloud.delete, existing)


def undelivered_counts(project: str, gcloud: Gcloud) -> dict[str, int]:
    """Returns how many messages wait in each subscription, as Cloud Monitoring saw minutes ago.

    gcloud has no command that reads a metric. A subscription that is missing here may have messages
    all the same.

    Raises:
        GcloudFailed: gcloud is not logged in.
        OSError: Cloud Monitoring did not answer, or refused.
    """
    now = datetime.now(UTC)
    query = {
        "filter": f'metric.type="{_UNDELIVERED}"',
        "interval.startTime": (now - _METRIC_DELAY).isoformat(),
        "interval.endTime": now.isoformat(),
    }
    # Where gcloud itself would go.
    base = os.environ.get("CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING", _MONITORING)
    url = f"{base}v3/projects/{project}/timeSeries?{urllib.parse.urlencode(query)}"
    token = gcloud.read_text("auth", "print-access-token")
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 (https, or gcloud's own override)
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 (the same)
        series = json.load(response).get("timeSeries", [])
    return {
        one["resource"]["labels"]["subscription_id"]: int(one["points"][0]["value"]["int64Value"])
        for one in series
        if one.get("points")  # newest first
    }

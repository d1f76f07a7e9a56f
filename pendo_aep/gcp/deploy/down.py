"""From a running pipeline back to an empty project: the callers first, the accounts last."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from pendo_aep.gcp.deploy import functions, monitoring, parts, request_logs, rights
from pendo_aep.gcp.deploy.config import Config
from pendo_aep.gcp.deploy.gcloud import Gcloud, GcloudFailed, Words
from pendo_aep.gcp.deploy.inventory import GROUPS, Inventory
from pendo_aep.gcp.deploy.together import together
from pendo_aep.gcp.deploy.up import in_project
from pendo_aep.gcp.deploy.waiting import waiting

Named = tuple[str, str, Words]
"""A kind and a name, as the inventory has them, and the command that deletes it."""


class Demolition:
    """Sees first what there is, can say what would be lost, and then deletes it."""

    def __init__(self, config: Config, gcloud: Gcloud) -> None:
        """Looks at the project.

        Raises:
            ConfigWrong: there is no such project.
            GcloudFailed: gcloud could not look.
        """
        # What was made by an earlier choice goes, too.
        both = {**config.values, "DEPLOY_PUSH": "true", "DEPLOY_DRAIN": "true"}
        self._config = replace(in_project(config, gcloud), values=both)
        self._gcloud = gcloud
        self._inventory = Inventory(self._config, gcloud, [*GROUPS])

    def warn(self, say: Callable[[str], None]) -> None:
        """Says which messages would be lost, as far as that is known."""
        config = self._config
        letters = config["DEAD_LETTER_SUBSCRIPTION"]
        names = (config["PUSH_SUBSCRIPTION"], config["DRAIN_SUBSCRIPTION"], letters)
        there = [name for name in names if name in self._inventory["subscriptions"]]
        if not there:
            return
        try:
            counts = waiting(config["PROJECT"], self._gcloud)
        except (GcloudFailed, OSError) as error:
            reason = str(error).strip().splitlines()[-1]
            say(f"! how many messages would be lost is not known: {reason}")
            return
        for name in there:
            what = "dead letters" if name == letters else "undelivered events"
            if name not in counts:
                say(f"! {name}: how many {what} would be lost is not known")
            elif counts[name]:
                say(f"! {name}: {counts[name]} {what} would be lost")

    def down(self) -> None:
        """Deletes everything, with what lies in it.

        Raises:
            GcloudFailed: gcloud could not.
        """
        config, nowhere = self._config, ""
        callers = (parts.job(config, nowhere), parts.pushed(config, nowhere), *parts.pulled(config))
        self._delete((part.kind, part.name, part.delete) for part in callers)
        self._delete(
            ("functions", config[f"{kind}_FUNCTION"], functions.delete(config, kind))
            for kind in functions.KINDS
        )
        self._delete((part.kind, part.name, part.delete) for part in parts.topics(config))
        names = (config["PENDO_SECRET"], config["AEP_SECRET"])
        self._delete(("secrets", name, ("secrets", "delete", name)) for name in names)
        monitoring.unwatch(config, self._inventory, self._gcloud)
        request_logs.remove(config, self._gcloud)
        rights.revoke_in_project(config, self._gcloud)
        self._delete((part.kind, part.name, part.delete) for part in parts.accounts(config))

    def _delete(self, things: Iterable[Named]) -> None:
        there = [words for kind, name, words in things if name in self._inventory[kind]]
        together(self._gcloud.delete, there)

"""Metrics, dashboard, alerts: the files of `deploy/monitoring`, and whom the alerts tell."""

from __future__ import annotations

import json
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pendo_aep.gcp.deploy.config import Config
from pendo_aep.gcp.deploy.gcloud import Gcloud, Words
from pendo_aep.gcp.deploy.inventory import Inventory
from pendo_aep.gcp.deploy.part import includes
from pendo_aep.gcp.deploy.rules import seconds
from pendo_aep.gcp.deploy.together import together

KINDS: Final = ("metrics", "dashboards", "policies", "channels")
_FOLDER: Final = Path(__file__).resolve().parents[3] / "deploy" / "monitoring"
_CHANNEL: Final = "pendo-to-aep"
# Alerts that are only there if a value of the config is set.
_ON_REQUEST: Final = {"no-webhook": "ALERT_NO_WEBHOOK_HOURS"}
# At this share of their time, dead letters are said to expire: a week before, of 31 days.
_NEARLY_EXPIRED: Final = 0.75


@dataclass(frozen=True, slots=True)
class Watch:
    """What one file describes.

    Attributes:
        kind: one of `KINDS`.
        name: as the inventory has it.
        body: what the file says, with the names of the deployment in it.
    """

    kind: str
    name: str
    body: dict[str, Any]


def measure(config: Config, inventory: Inventory, gcloud: Gcloud, folder: Path) -> None:
    """Makes or changes the metrics, the dashboard, and the channel that the alerts go to.

    Args:
        config: the names that stand in the files as `${NAME}`, and whom to tell.
        inventory: what there is of `KINDS`.
        gcloud: changes it.
        folder: for the files as they are sent.

    Raises:
        GcloudFailed: gcloud could not.
    """

    def apply(wanted: Watch) -> None:
        _apply(wanted, inventory, gcloud, folder)

    _tell(config, inventory, gcloud)
    together(apply, _metrics(config))
    apply(_dashboard(config))  # it shows the metrics, which must be there first


def alert(config: Config, inventory: Inventory, gcloud: Gcloud, folder: Path) -> None:
    """Makes or changes the alerts, and deletes those that the config has switched off.

    One after the other. Google: "Manage alerting policies by API", single-thread calls that modify
    alerting policies in a project; else some are refused.

    Args:
        config: as for `measure`, which must have been called.
        inventory: the same.
        gcloud: the same.
        folder: the same.

    Raises:
        GcloudFailed: gcloud could not.
    """
    told = [inventory["channels"][_CHANNEL]["name"]] if config["ALERT_EMAIL"] else []
    for one in _policies(config, is_on=True):
        wanted = Watch(one.kind, one.name, {**one.body, "notificationChannels": told})
        _apply(wanted, inventory, gcloud, folder)
    _delete_in_turn(_policies(config, is_on=False), inventory, gcloud)


def unwatch(config: Config, inventory: Inventory, gcloud: Gcloud) -> None:
    """Deletes all of it: first what speaks of the rest.

    Raises:
        GcloudFailed: gcloud could not.
    """
    policies = (*_policies(config, is_on=True), *_policies(config, is_on=False))
    _delete_in_turn([_dashboard(config), *policies], inventory, gcloud)
    together(
        gcloud.delete,
        _deletions([*_metrics(config), Watch("channels", _CHANNEL, {})], inventory),
    )


def _delete_in_turn(unwanted: Iterable[Watch], inventory: Inventory, gcloud: Gcloud) -> None:
    for words in _deletions(unwanted, inventory):
        gcloud.delete(words)


def _deletions(unwanted: Iterable[Watch], inventory: Inventory) -> list[Words]:
    there = [one for one in unwanted if one.name in inventory[one.kind]]
    return [_command(one, "delete", inventory) for one in there]


def _apply(wanted: Watch, inventory: Inventory, gcloud: Gcloud, folder: Path) -> None:
    seen = inventory[wanted.kind].get(wanted.name)
    if seen is not None and includes(seen, wanted.body):
        return
    body = dict(wanted.body)
    if seen is not None and "etag" in seen:  # Google: a dashboard is replaced by who has seen it
        body["etag"] = seen["etag"]
    file = folder / f"{wanted.kind}-{wanted.name.replace('/', '-')}.json"
    file.write_text(json.dumps(body), "utf-8")
    flag = "--policy-from-file" if wanted.kind == "policies" else "--config-from-file"
    verb = "create" if seen is None else "update"
    gcloud.change(*_command(wanted, verb, inventory), f"{flag}={file}")


def _command(wanted: Watch, verb: str, inventory: Inventory) -> Words:
    """A metric is named by us; the others by Google, when they are made."""
    if wanted.kind == "metrics":
        return (*inventory.group("metrics"), verb, wanted.name)
    seen = inventory[wanted.kind].get(wanted.name)
    return (*inventory.group(wanted.kind), verb, *([seen["name"]] if seen else []))


def _tell(config: Config, inventory: Inventory, gcloud: Gcloud) -> None:
    """Has the alerts' e-mails go to whom the config names, if it names somebody."""
    email = config["ALERT_EMAIL"]
    if not email:
        return
    group, seen = inventory.group("channels"), inventory["channels"].get(_CHANNEL)
    address = f"email_address={email}"
    if seen is None:
        make = (f"--display-name={_CHANNEL}", "--type=email", f"--channel-labels={address}")
        gcloud.change(*group, "create", *make)
        inventory.look("channels")
    elif not includes(seen, {"labels": {"email_address": email}}):
        gcloud.change(*group, "update", seen["name"], f"--update-channel-labels={address}")


def _metrics(config: Config) -> Iterator[Watch]:
    for path in sorted(_FOLDER.glob("metrics/*.json")):
        yield Watch("metrics", path.stem, _read(config, path))


def _policies(config: Config, *, is_on: bool) -> Iterator[Watch]:
    """The alerts that are to be there, or those that the config has switched off."""
    for path in sorted(_FOLDER.glob("alerts/*.json")):
        switch = _ON_REQUEST.get(path.stem)
        if is_on == (switch is None or bool(config[switch])):
            body = _read(config, path)
            yield Watch("policies", body["displayName"], body)


def _dashboard(config: Config) -> Watch:
    body = _read(config, _FOLDER / "dashboard.json")
    return Watch("dashboards", body["displayName"], body)


def _read(config: Config, path: Path) -> dict[str, Any]:
    """A file, with the values of the deployment where it has `${NAME}`."""
    text = string.Template(path.read_text("utf-8")).safe_substitute(config.values, **spans(config))
    document: dict[str, Any] = json.loads(text, object_hook=_with_numbers)
    return document


def spans(config: Config) -> dict[str, str]:
    """The times that the files speak of in seconds, as the API does."""
    retention = seconds(config["DEAD_LETTERS_RETENTION"])
    return {
        "DEAD_LETTER_AGE_SECONDS": str(int(retention * _NEARLY_EXPIRED)),
        "NO_WEBHOOK_SECONDS": str(int(config["ALERT_NO_WEBHOOK_HOURS"] or 0) * 3600),
    }


def _with_numbers(fields: dict[str, Any]) -> dict[str, Any]:
    """A threshold that was filled in is text until now: JSON has no `${NAME}` for a number."""
    if isinstance(fields.get("thresholdValue"), str):
        return {**fields, "thresholdValue": float(fields["thresholdValue"])}
    return fields

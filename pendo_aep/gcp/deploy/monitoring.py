"""Metrics, dashboard and alerts from the files of `deploy/monitoring`, and the log exclusion.

Cloud Run writes a request log of over 1 kB for each request, which costs more than the request, and
our own lines say more. Those of successful requests are excluded from the default log bucket;
log-based metrics and alerts still count them (Google: "Log-based metrics overview", "Exclusion
filters").
"""

from __future__ import annotations

import json
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pendo_aep.gcp.config import Config, seconds
from pendo_aep.gcp.deploy.resource import Inventory, includes
from pendo_aep.gcp.gcloud import Command, Gcloud, run_parallel

KINDS: Final = ("metrics", "dashboards", "policies", "channels")
_FOLDER: Final = Path(__file__).resolve().parents[3] / "deploy" / "monitoring"
_CHANNEL: Final = "pendo-to-aep"
# Alerts that exist only if a value of the config is set.
_OPTIONAL_ALERTS: Final = {
    "no-webhook": "ALERT_NO_WEBHOOK_HOURS",
    "not-in-the-lake": "RECONCILE_SCHEDULE",
}
# At this share of their retention, dead letters are about to expire: of 31 days, a week before.
_EXPIRING_SHARE: Final = 0.75
_SINK: Final = "_Default"
_UPDATE_SINK: Final[Command] = ("logging", "sinks", "update", _SINK)


@dataclass(frozen=True, slots=True)
class MonitoringResource:
    """What a file describes.

    Attributes:
        kind: one of `KINDS`.
        name: in the inventory.
        body: the file, with the names of the deployment filled in.
    """

    kind: str
    name: str
    body: dict[str, Any]


def apply_metrics_and_dashboard(
    config: Config, inventory: Inventory, gcloud: Gcloud, folder: Path
) -> None:
    """Creates or changes the metrics, the dashboard, and the channel that the alerts go to.

    Args:
        config: the names that the files have as `${NAME}`, and the address of the channel.
        inventory: what exists of `KINDS`.
        gcloud: applies the changes.
        folder: for the files as they are sent.
    """

    def apply(wanted: MonitoringResource) -> None:
        _apply(wanted, inventory, gcloud, folder)

    _apply_channel(config, inventory, gcloud)
    run_parallel(apply, _metrics(config))
    apply(_dashboard(config))  # it shows the metrics, which must exist first


def apply_alerts(config: Config, inventory: Inventory, gcloud: Gcloud, folder: Path) -> None:
    """Creates or changes the alerts, and deletes those that the config switches off.

    One at a time. Google: "Manage alerting policies by API", "single-thread" calls that modify
    alerting policies in a project; otherwise some are refused.

    Args:
        config: as for `apply_metrics_and_dashboard`, which must have run.
        inventory: the same.
        gcloud: the same.
        folder: the same.
    """
    channels = [inventory["channels"][_CHANNEL]["name"]] if config["ALERT_EMAIL"] else []
    for one in _policies(config, is_on=True):
        wanted = MonitoringResource(
            one.kind, one.name, {**one.body, "notificationChannels": channels}
        )
        _apply(wanted, inventory, gcloud, folder)
    _delete_one_by_one(_policies(config, is_on=False), inventory, gcloud)


def delete_monitoring(config: Config, inventory: Inventory, gcloud: Gcloud) -> None:
    """Deletes all of it, what refers to the metrics first."""
    policies = (*_policies(config, is_on=True), *_policies(config, is_on=False))
    _delete_one_by_one([_dashboard(config), *policies], inventory, gcloud)
    run_parallel(
        gcloud.delete,
        _deletions([*_metrics(config), MonitoringResource("channels", _CHANNEL, {})], inventory),
    )


def _delete_one_by_one(
    unwanted: Iterable[MonitoringResource], inventory: Inventory, gcloud: Gcloud
) -> None:
    for words in _deletions(unwanted, inventory):
        gcloud.delete(words)


def _deletions(unwanted: Iterable[MonitoringResource], inventory: Inventory) -> list[Command]:
    existing = [one for one in unwanted if one.name in inventory[one.kind]]
    return [_command(one, "delete", inventory) for one in existing]


def _apply(wanted: MonitoringResource, inventory: Inventory, gcloud: Gcloud, folder: Path) -> None:
    seen = inventory[wanted.kind].get(wanted.name)
    if seen is not None and includes(seen, wanted.body):
        return
    body = dict(wanted.body)
    if seen is not None and "etag" in seen:  # Google: required to replace it
        body["etag"] = seen["etag"]
    file = folder / f"{wanted.kind}-{wanted.name.replace('/', '-')}.json"
    file.write_text(json.dumps(body), "utf-8")
    flag = "--policy-from-file" if wanted.kind == "policies" else "--config-from-file"
    verb = "create" if seen is None else "update"
    gcloud.change(*_command(wanted, verb, inventory), f"{flag}={file}")


def _command(wanted: MonitoringResource, verb: str, inventory: Inventory) -> Command:
    """Returns a command; we name the metrics, Google names the others when they are created."""
    if wanted.kind == "metrics":
        return (*inventory.group("metrics"), verb, wanted.name)
    seen = inventory[wanted.kind].get(wanted.name)
    return (*inventory.group(wanted.kind), verb, *([seen["name"]] if seen else []))


def _apply_channel(config: Config, inventory: Inventory, gcloud: Gcloud) -> None:
    """Creates or changes the e-mail channel, if the config names an address."""
    email = config["ALERT_EMAIL"]
    if not email:
        return
    group, seen = inventory.group("channels"), inventory["channels"].get(_CHANNEL)
    address = f"email_address={email}"
    if seen is None:
        make = (f"--display-name={_CHANNEL}", "--type=email", f"--channel-labels={address}")
        gcloud.change(*group, "create", *make)
        inventory.refresh("channels")
    elif not includes(seen, {"labels": {"email_address": email}}):
        gcloud.change(*group, "update", seen["name"], f"--update-channel-labels={address}")


def _metrics(config: Config) -> Iterator[MonitoringResource]:
    for path in sorted(_FOLDER.glob("metrics/*.json")):
        yield MonitoringResource("metrics", path.stem, _read(config, path))


def _policies(config: Config, *, is_on: bool) -> Iterator[MonitoringResource]:
    """Yields the alerts that should exist, or those that the config switches off."""
    for path in sorted(_FOLDER.glob("alerts/*.json")):
        switch = _OPTIONAL_ALERTS.get(path.stem)
        if is_on == (switch is None or bool(config[switch])):
            body = _read(config, path)
            yield MonitoringResource("policies", body["displayName"], body)


def _dashboard(config: Config) -> MonitoringResource:
    body = _read(config, _FOLDER / "dashboard.json")
    return MonitoringResource("dashboards", body["displayName"], body)


def _read(config: Config, path: Path) -> dict[str, Any]:
    """Returns a file with the values of the deployment in place of each `${NAME}`."""
    text = string.Template(path.read_text("utf-8")).safe_substitute(
        config.values, **durations(config)
    )
    document: dict[str, Any] = json.loads(text, object_hook=_with_numbers)
    return document


def durations(config: Config) -> dict[str, str]:
    """Returns the times that the files need in seconds."""
    retention = seconds(config["DEAD_LETTERS_RETENTION"])
    return {
        "DEAD_LETTER_AGE_SECONDS": str(int(retention * _EXPIRING_SHARE)),
        "NO_WEBHOOK_SECONDS": str(int(config["ALERT_NO_WEBHOOK_HOURS"] or 0) * 3600),
    }


def _with_numbers(fields: dict[str, Any]) -> dict[str, Any]:
    """Converts a threshold that was filled in: in JSON, `${NAME}` can only be text."""
    if isinstance(fields.get("thresholdValue"), str):
        return {**fields, "thresholdValue": float(fields["thresholdValue"])}
    return fields


def apply_log_exclusion(config: Config, gcloud: Gcloud) -> None:
    """Excludes the logs of successful requests, or stops it, as `EXCLUDE_REQUEST_LOGS` says."""
    if config["EXCLUDE_REQUEST_LOGS"] == "false":
        remove_log_exclusion(config, gcloud)
        return
    sink = gcloud.read("logging", "sinks", "describe", _SINK)
    if sink is None:
        gcloud.say(f"! there is no log sink {_SINK}, so there are no request logs to exclude")
        return
    seen, wanted = _exclusion(config, sink), _exclusion_filter(config)
    flag = "--add-exclusion" if seen is None else "--update-exclusion"
    if seen is None or seen["filter"] != wanted:
        gcloud.change(*_UPDATE_SINK, f"{flag}=name={_exclusion_name(config)},filter={wanted}")


def remove_log_exclusion(config: Config, gcloud: Gcloud) -> None:
    """Removes the exclusion."""
    sink = gcloud.read("logging", "sinks", "describe", _SINK)
    if sink is not None and _exclusion(config, sink) is not None:
        gcloud.delete((*_UPDATE_SINK, f"--remove-exclusions={_exclusion_name(config)}"))


def _exclusion(config: Config, sink: dict[str, Any]) -> dict[str, Any] | None:
    """Returns our exclusion; a project may have others."""
    return next(
        (x for x in sink.get("exclusions", []) if x["name"] == _exclusion_name(config)), None
    )


def _exclusion_name(config: Config) -> str:
    return f"pendo-to-aep-{config['RECEIVE_FUNCTION']}"


def _exclusion_filter(config: Config) -> str:
    """Returns the filter; the log and its labels are those of Google's "Logging in Cloud Run".

    It has no comma, because gcloud separates the parts of the flag by commas.
    """
    is_deployed = {"RECEIVE": True, "DELIVER": config.push, "DRAIN": config.drain}
    names = [config[f"{kind}_FUNCTION"] for kind, is_there in is_deployed.items() if is_there]
    services = " OR ".join(f'"{name}"' for name in names)
    return (
        f'log_id("run.googleapis.com/requests") AND resource.labels.service_name=({services})'
        " AND httpRequest.status>=200 AND httpRequest.status<300"
    )

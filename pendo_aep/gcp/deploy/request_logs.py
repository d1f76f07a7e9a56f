"""Cloud Run's request logs: those of successful requests are kept out of the default log bucket.

Cloud Run writes one of over 1 kB for each request, so they cost more than the requests themselves,
and our own lines say more. Log-based metrics and alerts still count them: an exclusion only keeps
them out of a sink's bucket (Google: "Log-based metrics overview", "Exclusion filters").
"""

from __future__ import annotations

from typing import Any, Final

from pendo_aep.gcp.deploy.config import Config
from pendo_aep.gcp.deploy.gcloud import Gcloud, Words

_SINK: Final = "_Default"
_UPDATE: Final[Words] = ("logging", "sinks", "update", _SINK)


def apply(config: Config, gcloud: Gcloud) -> None:
    """Excludes them, or no longer, as `EXCLUDE_REQUEST_LOGS` says.

    Raises:
        GcloudFailed: gcloud could not.
    """
    if config["EXCLUDE_REQUEST_LOGS"] == "false":
        remove(config, gcloud)
        return
    sink = gcloud.look("logging", "sinks", "describe", _SINK)
    if sink is None:
        gcloud.say(f"! there is no log sink {_SINK}, so there are no request logs to exclude")
        return
    seen, wanted = _exclusion(config, sink), _filter(config)
    if seen is None:
        gcloud.change(*_UPDATE, f"--add-exclusion=name={_name(config)},filter={wanted}")
    elif seen["filter"] != wanted:
        gcloud.change(*_UPDATE, f"--update-exclusion=name={_name(config)},filter={wanted}")


def remove(config: Config, gcloud: Gcloud) -> None:
    """Keeps them in the bucket again.

    Raises:
        GcloudFailed: gcloud could not.
    """
    sink = gcloud.look("logging", "sinks", "describe", _SINK)
    if sink is not None and _exclusion(config, sink) is not None:
        gcloud.delete((*_UPDATE, f"--remove-exclusions={_name(config)}"))


def _exclusion(config: Config, sink: dict[str, Any]) -> dict[str, Any] | None:
    """The one that is ours; a project may have others."""
    return next((x for x in sink.get("exclusions", []) if x["name"] == _name(config)), None)


def _name(config: Config) -> str:
    return f"pendo-to-aep-{config['RECEIVE_FUNCTION']}"


def _filter(config: Config) -> str:
    """The log and its labels are named as in Google's "Logging in Cloud Run".

    It holds no comma, because gcloud separates the parts of the flag by commas.
    """
    is_deployed = {"RECEIVE": True, "DELIVER": config.push, "DRAIN": config.drain}
    names = [config[f"{kind}_FUNCTION"] for kind, is_there in is_deployed.items() if is_there]
    services = " OR ".join(f'"{name}"' for name in names)
    return (
        f'log_id("run.googleapis.com/requests") AND resource.labels.service_name=({services})'
        " AND httpRequest.status>=200 AND httpRequest.status<300"
    )

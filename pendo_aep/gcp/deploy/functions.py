"""The desired functions: their settings, resources and source."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pendo_aep.gcp.config import Config
from pendo_aep.gcp.deploy.resource import Field, Inventory, Resource
from pendo_aep.gcp.gcloud import Command, Gcloud

SOURCE: Final = Path(__file__).resolve().parents[3]
# The prefixes of the names in the config.
KINDS: Final = ("RECEIVE", "DELIVER", "DRAIN")
RUNTIME: Final = "python312"
# The label by which the next run knows what the function was built from.
_LABEL: Final = "pendo-to-aep"
# Google's API spells the ingress settings of gcloud in its own way.
_INGRESS: Final = {"all": "ALLOW_ALL", "internal-only": "ALLOW_INTERNAL_ONLY"}
_PENDO_FILE: Final = "/secrets/pendo/webhook"
_AEP_FILE: Final = "/secrets/aep/client"
_CATALOG_FILE: Final = "/secrets/catalog/polls"

_RECEIVE_SETTINGS: Final = ("PENDO_ALLOW_UNSIGNED", "PENDO_EVENTS", "REDACT", "MAX_BODY_BYTES")
_DELIVER_SETTINGS: Final = (
    "AEP_ENDPOINT",
    "AEP_FLOW_ID",
    "AEP_FORMAT",
    "AEP_RAW_MODE",
    "AEP_SANDBOX",
    "AEP_IDENTITY_NAMESPACE",
    "AEP_ANONYMOUS_VISITORS",
    "AEP_EMAIL_NAMESPACE",
    "AEP_PROPERTIES",
    "AEP_FIELDS",
    "AEP_SCHEMA_ID",
    "AEP_DATASET_ID",
    "AEP_IMS_ORG_ID",
    "AEP_TENANT_ID",
    "AEP_CLIENT_ID",
    "AEP_IMS_URL",
    "AEP_SCOPES",
    "AEP_TRIM_PROPERTIES",
    "PENDO_CATALOG_FILE",
    "BATCH_MAX_BYTES",
    "BATCH_MAX_MESSAGES",
    "BATCH_LINGER_MS",
    "BATCH_MAX_IN_FLIGHT",
    "DELIVER_DEADLINE_SECONDS",
)


@dataclass(frozen=True, slots=True)
class Function:
    """A function with its settings.

    Attributes:
        kind: one of `KINDS`.
        environment: its environment variables.
        secrets: the secret that is mounted at each path.
    """

    kind: str
    environment: dict[str, str]
    secrets: dict[str, str]


def desired_functions(config: Config) -> Iterator[Function]:
    """Yields the functions that the config deploys."""
    common = {
        "GOOGLE_CLOUD_PROJECT": config["PROJECT"],
        "DEAD_LETTER_TOPIC": config["DEAD_LETTER_TOPIC"],
        # Google sets it to true: functions-framework then redirects stdout during each request, to
        # label lines with an execution ID. Our lines have the trace of the request.
        "LOG_EXECUTION_ID": "false",
    }
    pendo = {"PUBSUB_TOPIC": config["EVENTS_TOPIC"], "PENDO_WEBHOOK_SECRETS_FILE": _PENDO_FILE}
    yield Function(
        "RECEIVE",
        {**common, **pendo, **_given(config, _RECEIVE_SETTINGS)},
        {_PENDO_FILE: config["PENDO_SECRET"]},
    )
    aep = {**common, **_given(config, _DELIVER_SETTINGS)}
    secrets = {}
    if config["AEP_CLIENT_ID"]:
        aep["AEP_CLIENT_SECRET_FILE"] = _AEP_FILE
        secrets[_AEP_FILE] = config["AEP_SECRET"]
    if config["PENDO_CATALOG_SECRET"]:
        aep["PENDO_CATALOG_FILE"] = _CATALOG_FILE
        secrets[_CATALOG_FILE] = config["PENDO_CATALOG_SECRET"]
    if config.push:
        yield Function("DELIVER", aep, secrets)
    if config.drain:
        pull = _given(config, ("DRAIN_SUBSCRIPTION", "DRAIN_SECONDS"))
        yield Function("DRAIN", {**aep, **pull}, secrets)


def source_hash(gcloud: Gcloud) -> str:
    """Returns a hash of what would be uploaded, by name and content (see `.gcloudignore`)."""
    digest = hashlib.sha256()
    for name in sorted(gcloud.read_text("meta", "list-files-for-upload", str(SOURCE)).splitlines()):
        content = (SOURCE / name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def function_resource(config: Config, function: Function, source: str, folder: Path) -> Resource:
    """Returns a function as a resource; it is deployed as a whole, whatever differs.

    Args:
        config: names and sizes.
        function: its settings and secrets.
        source: the hash of what would be uploaded.
        folder: for the file of its settings, whose values may hold the separators of a flag.
    """
    kind = function.kind
    name, place = config[f"{kind}_FUNCTION"], f"--region={config['REGION']}"
    settings = folder / f"{kind}.json"
    settings.write_text(json.dumps(function.environment), "utf-8")
    builder = f"projects/{config['PROJECT']}/serviceAccounts/{config.address('BUILD_ACCOUNT')}"
    # Pendo calls from the internet; `iam_bindings` makes the function public.
    ingress = "all" if kind == "RECEIVE" else config["INGRESS"]
    access = [] if kind == "RECEIVE" else ["--no-allow-unauthenticated"]
    flags = [
        "--gen2",
        place,
        f"--runtime={RUNTIME}",
        f"--entry-point={kind.lower()}",
        "--trigger-http",
        f"--service-account={config.address(f'{kind}_ACCOUNT')}",
        f"--build-service-account={builder}",
        f"--cpu={config[f'{kind}_CPU']}",
        f"--memory={config[f'{kind}_MEMORY']}",
        f"--concurrency={config.values.get(f'{kind}_CONCURRENCY', '1')}",
        f"--min-instances={config.values.get(f'{kind}_MIN_INSTANCES', '0')}",
        f"--max-instances={config[f'{kind}_MAX_INSTANCES']}",
        f"--timeout={config[f'{kind}_TIMEOUT_SECONDS']}s",
        f"--ingress-settings={ingress}",
        *access,
        _secret_flag(function),
    ]
    built_from = json.dumps([source, flags, function.environment])
    label = hashlib.sha256(built_from.encode()).hexdigest()[:40]
    deploy = (
        *("functions", "deploy", name, *flags),
        *(f"--source={SOURCE}", f"--env-vars-file={settings}", f"--update-labels={_LABEL}={label}"),
    )
    return Resource(
        kind="functions",
        name=name,
        create=deploy,
        update=deploy,
        delete=delete_command(config, kind),
        fields=(
            Field(("labels", _LABEL), label),
            Field(("state",), "ACTIVE"),
            # Somebody may have changed these by hand, and the label does not show it.
            Field(("serviceConfig", "environmentVariables"), function.environment),
            Field(("serviceConfig", "serviceAccountEmail"), config.address(f"{kind}_ACCOUNT")),
            Field(("serviceConfig", "ingressSettings"), _INGRESS[ingress]),
            Field(("serviceConfig", "timeoutSeconds"), int(config[f"{kind}_TIMEOUT_SECONDS"])),
        ),
    )


def delete_command(config: Config, kind: str) -> Command:
    """Returns the command that deletes a function."""
    place = f"--region={config['REGION']}"
    return ("functions", "delete", config[f"{kind}_FUNCTION"], "--gen2", place)


def function_url(config: Config, kind: str, inventory: Inventory) -> str:
    """Returns the address of a function."""
    seen = inventory["functions"][config[f"{kind}_FUNCTION"]]
    return str(seen["serviceConfig"]["uri"])


def _given(config: Config, names: tuple[str, ...]) -> dict[str, str]:
    return {name: config[name] for name in names if config[name]}


def _secret_flag(function: Function) -> str:
    if not function.secrets:
        return "--clear-secrets"
    return "--set-secrets=" + ",".join(
        f"{path}={name}:latest" for path, name in function.secrets.items()
    )

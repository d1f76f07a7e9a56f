"""The secrets: from the environment or a file into Secret Manager, and never anywhere else."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from pendo_aep.gcp.deploy.config import Config, ConfigWrong
from pendo_aep.gcp.deploy.gcloud import Gcloud
from pendo_aep.gcp.deploy.inventory import Inventory


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """One of them.

    Attributes:
        name: in Secret Manager.
        variable: where its value comes from: the variable, or the file that `VARIABLE_FILE` names.
        value: what was given; None if nothing was.
        is_made: one is made where none was given.
    """

    name: str
    variable: str
    value: bytes | None
    is_made: bool


def secrets(config: Config) -> list[Secret]:
    """Those that the functions mount, with what was given for them.

    Raises:
        ConfigWrong: a file cannot be read, or is empty.
    """
    found = [_secret(config, "PENDO_SECRET", "PENDO_WEBHOOK_SECRETS", is_made=True)]
    if config["AEP_CLIENT_ID"]:
        found.append(_secret(config, "AEP_SECRET", "AEP_CLIENT_SECRET", is_made=False))
    return found


def keep(secret: Secret, inventory: Inventory, gcloud: Gcloud) -> None:
    """Makes it, or adds a version if what was given is another.

    Raises:
        GcloudFailed: gcloud could not.
        ConfigWrong: there is none, and none was given.
    """
    name = secret.name
    if name in inventory["secrets"]:
        kept = gcloud.look("secrets", "versions", "access", "latest", f"--secret={name}")
        if kept is not None and not secret.value:
            return
        if kept is not None and base64.urlsafe_b64decode(kept["payload"]["data"]) == secret.value:
            return
    value = secret.value or (token_hex(32).encode() if secret.is_made else None)
    if value is None:
        raise ConfigWrong(
            f"{secret.variable}: there is no secret {name} yet; set this variable, "
            f"or {secret.variable}_FILE in the config"
        )
    if name in inventory["secrets"]:
        gcloud.change("secrets", "versions", "add", name, "--data-file=-", stdin=value)
    else:
        create = ("secrets", "create", name, "--replication-policy=automatic", "--data-file=-")
        gcloud.change(*create, stdin=value)


def _secret(config: Config, name: str, variable: str, *, is_made: bool) -> Secret:
    value = os.environ.get(variable, "").strip().encode()
    if not value and (file := config[f"{variable}_FILE"]):
        try:
            value = Path(file).expanduser().read_bytes().strip()
        except OSError as error:
            raise ConfigWrong(f"{variable}_FILE: {file} cannot be read: {error.strerror}") from None
        if not value:
            raise ConfigWrong(f"{variable}_FILE: {file} is empty")
    return Secret(config[name], variable, value or None, is_made)

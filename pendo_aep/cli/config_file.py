"""The settings of a command: its configuration file, and environment variables before it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pendo_aep.gcp.config import InvalidConfig, read_lines
from pendo_aep.settings import SettingsError

DEFAULT: Final = Path("pendo-aep.env")
"""The file in the current folder that is read without `--config`, if it is there."""
EMULATOR: Final = "PUBSUB_EMULATOR_HOST"
_FILE: Final = "_FILE"  # `X_FILE` stands for the secret `X`


def read_environment(path: Path | None, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Returns the settings of the file, with those of the environment in the place of its own.

    A variable that is empty counts as not set. One that names a secret's file replaces the secret
    of the configuration file, and the other way round: each deployment has one of the two.

    Args:
        path: the file that was named; None for the default, which need not exist.
        environ: the environment variables.

    Raises:
        SettingsError: the file cannot be read, or a line of it is not `NAME=value`.
    """
    if path is None and not DEFAULT.is_file():
        return dict(environ)
    given = {name: value for name, value in environ.items() if value.strip()}
    replaced = {_other_spelling(name) for name in given}
    try:
        found = read_lines(path or DEFAULT)
    except InvalidConfig as error:
        raise SettingsError([str(error)]) from None
    return {name: value for name, value in found.items() if name not in replaced} | given


def use_emulator(environment: Mapping[str, str]) -> None:
    """Makes Pub/Sub's clients use the emulator of the settings: they look in `os.environ` only."""
    if emulator := environment.get(EMULATOR):
        os.environ[EMULATOR] = emulator


def _other_spelling(name: str) -> str:
    return name.removesuffix(_FILE) if name.endswith(_FILE) else name + _FILE

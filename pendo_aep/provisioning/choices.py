"""What people choose of the set-up: on the command line, or in a small TOML file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Literal, TypeAlias

from pendo_aep.provisioning.errors import PlatformError

Source: TypeAlias = Literal["pendo", "http"]
DataFormat: TypeAlias = Literal["raw", "xdm"]

# Adobe documents no escape for other characters in filters, where `*` and `,` mean something.
_NAME: Final = re.compile(r"\w[\w .-]{0,79}")


@dataclass(frozen=True, slots=True)
class Choices:
    """What the set-up is to be.

    Attributes:
        source: Adobe's Pendo source (beta), or the HTTP API source.
        format: what `deliver` sends: the normalised event, mapped by the dataflow, or XDM.
        authenticated: whether the inlet wants a token.
        profile: whether the events go to Real-Time Customer Profile, too. There is no way back.
        name: of the dataset and the schema; all other names begin with it.
    """

    source: Source = "pendo"
    format: DataFormat = "raw"
    authenticated: bool = False
    profile: bool = False
    name: str = "Pendo Events"

    def __post_init__(self) -> None:
        """Refuses what does not go together.

        Raises:
            PlatformError: it says what to change.
        """
        if self.source not in ("pendo", "http"):
            raise PlatformError(f"source: {self.source!r} is neither pendo nor http")
        if self.format not in ("raw", "xdm"):
            raise PlatformError(f"format: {self.format!r} is neither raw nor xdm")
        if self.source == "pendo" and self.format == "xdm":
            raise PlatformError(
                "the Pendo source takes raw events only: choose --source http for --format xdm"
            )
        if self.source == "pendo" and self.authenticated:
            raise PlatformError(
                "the Pendo source is open: choose --source http for an --authenticated inlet"
            )
        if not _NAME.fullmatch(self.name) or self.name != self.name.strip():
            raise PlatformError(
                f"name: {self.name!r}: write letters, digits, spaces and any of _.-, up to 80"
            )


def read_choices(given: Mapping[str, object], file: Path | None) -> Choices:
    """The choices that were given, then those of the file, then the defaults.

    Args:
        given: by the names of `Choices`; None where nothing was given.
        file: TOML with the same names.

    Raises:
        PlatformError: the file cannot be read, or something does not go together.
    """
    chosen = _read(file) if file else {}
    chosen.update({name: value for name, value in given.items() if value is not None})
    return Choices(**chosen)  # type: ignore[arg-type]  # `_read` has checked the types


def _read(file: Path) -> dict[str, object]:
    try:
        found = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlatformError(f"the file {file} cannot be read: {error}") from None
    types = {field.name: bool if field.default is False else str for field in fields(Choices)}
    for name, value in found.items():
        if name not in types:
            raise PlatformError(f"{file}: {name}: is not one of {', '.join(types)}")
        if not isinstance(value, types[name]):
            wanted = "true or false" if types[name] is bool else "text in quotes"
            raise PlatformError(f"{file}: {name}: write {wanted}")
    return found

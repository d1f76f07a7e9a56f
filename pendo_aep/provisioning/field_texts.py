"""What people read of each field in AEP besides its title: loads `field_texts.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

_FILE: Final = Path(__file__).with_name("field_texts.toml")


@dataclass(frozen=True, slots=True)
class FieldText:
    """The texts of one field.

    Attributes:
        description: what it holds.
        suggested: values that AEP offers, with their names. Adobe: "Manage enums and suggested
            values": they do not constrain what is ingested, as `enum` would.
        label: a core data usage label of Adobe's; empty for none.
    """

    description: str = ""
    suggested: Mapping[str, str] = field(default_factory=dict)
    label: str = ""


NO_TEXT: Final = FieldText()


@cache
def field_texts() -> Mapping[str, FieldText]:
    """Returns the texts by the path in XDM, as the mapping table writes it."""
    found = tomllib.loads(_FILE.read_text("utf-8"))
    return {path: FieldText(**texts) for path, texts in found.items()}

"""A part of the set-up: one thing that AEP must have, and how to look for it, make and end it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol, TypeAlias

Json: TypeAlias = dict[str, Any]

FOR_PROFILE: Final = "enabled for Profile"
"""What changes in a schema or a dataset that is to feed Profile."""


class Kind(StrEnum):
    """The kinds of parts, as people call them."""

    NAMESPACE = "identity namespace"
    FIELD_GROUP = "field group"
    SCHEMA = "schema"
    DATASET = "dataset"
    CONNECTION = "base connection"
    SOURCE = "source connection"
    TARGET = "target connection"
    MAPPING_SET = "mapping set"
    FLOW = "dataflow"


@dataclass(frozen=True, slots=True)
class Existing:
    """What AEP has.

    Attributes:
        id: empty for what is yet to be made.
        body: as AEP shows it, which is more than was sent.
        is_final: False where it is about to be changed.
    """

    id: str
    body: Json
    is_final: bool = True


NOT_YET = Existing("", {}, is_final=False)
Known: TypeAlias = Mapping[Kind, Existing]
"""The parts that come before one, for it refers to them by their ids."""


class Part(Protocol):
    """One thing that AEP must have. Everything else about it is the part's own affair."""

    @property
    def kind(self) -> Kind:
        """What it is."""
        ...

    @property
    def name(self) -> str:
        """The name or title by which it is found."""
        ...

    async def find(self) -> list[str]:
        """The ids of all that have the name; AEP lets most kinds have several.

        Raises:
            NameTaken: something else has the name, and names of this kind are unique.
        """
        ...

    async def read(self, part_id: str) -> Existing:
        """One of them, whole."""
        ...

    def compare(self, existing: Existing, known: Known) -> tuple[str, ...]:
        """What must change, in words; empty when it is as it should be.

        Raises:
            Conflict: it is something else, and cannot be changed.
        """
        ...

    async def create(self, known: Known) -> str:
        """Makes it, and answers its id.

        Raises:
            OutcomeUnknown: it may have been made.
        """
        ...

    async def change(self, existing: Existing, known: Known) -> Existing | None:
        """Makes it what it should be.

        Returns:
            What it is now, where AEP's answer says so; None where it must be read.

        Raises:
            OutcomeUnknown: it may have been changed.
        """
        ...

    async def delete(self, existing: Existing) -> None:
        """Ends it.

        Raises:
            Refused: AEP does not let it go.
            OutcomeUnknown: it may be gone.
        """
        ...

"""One resource that AEP must have: how to find, compare, create, update and delete it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final, TypeAlias

from pendo_aep.provisioning.client import Client

Json: TypeAlias = dict[str, Any]

FOR_PROFILE: Final = "enabled for Profile"
"""The change of a schema or a dataset that is to feed Profile."""
ERROR_DIAGNOSTICS: Final = "error diagnostics switched on"
"""The change of a dataset in which AEP would not say why an event was not stored."""


class Kind(StrEnum):
    """The kinds of resources, as people call them."""

    NAMESPACE = "identity namespace"
    FIELD_GROUP = "field group"
    SCHEMA = "schema"
    DATASET = "dataset"
    CONNECTION = "base connection"
    SOURCE = "source connection"
    TARGET = "target connection"
    MAPPING_SET = "mapping set"
    FLOW = "dataflow"
    FRIENDLY_NAMES = "friendly names"
    LABELS = "data usage labels"
    ACCOUNT_RELATIONSHIP = "account relationship"


@dataclass(frozen=True, slots=True)
class Observed:
    """A resource as AEP shows it.

    Attributes:
        id: empty for one that does not exist yet.
        body: what AEP returns, which is more than was sent.
        is_final: False if it is about to be updated.
    """

    id: str
    body: Json
    is_final: bool = True


PENDING: Final = Observed("", {}, is_final=False)
Resolved: TypeAlias = Mapping[Kind, Observed]
"""The resources that come before one, which refers to them by their ids."""


@dataclass(frozen=True, slots=True)
class Resource(ABC):
    """One resource that AEP must have.

    Attributes:
        kind: what it is.
        client: calls AEP's APIs.
        name: the name, title or code that it is found by.
        is_optional: whether events are stored without it, so that AEP's refusal of it is only
            reported.
        by_hand: what to do if AEP refuses one that is optional.
        optional_changes: changes without which events are stored, too, so that AEP's not keeping
            them is only reported.
    """

    kind: ClassVar[Kind]
    is_optional: ClassVar[bool] = False
    by_hand: ClassVar[str] = ""
    optional_changes: ClassVar[frozenset[str]] = frozenset()
    client: Client
    name: str

    @abstractmethod
    async def find(self) -> list[str]:
        """Returns the ids of all resources with the name; for most kinds, AEP allows several.

        Raises:
            NameTaken: something else has the name, and names of this kind are unique.
        """

    @abstractmethod
    async def read(self, resource_id: str) -> Observed:
        """Reads one of them."""

    @abstractmethod
    def compare(self, observed: Observed, resolved: Resolved) -> tuple[str, ...]:
        """Returns what must change, in words; nothing if it is as it should be.

        Raises:
            Conflict: it differs in a way that cannot be changed.
        """

    @abstractmethod
    async def create(self, resolved: Resolved) -> str:
        """Creates it, and returns its id.

        Raises:
            UncertainOutcome: it may have been created.
        """

    async def update(self, observed: Observed, resolved: Resolved) -> Observed | None:
        """Makes the changes that `compare` returns. Some kinds have none.

        Returns:
            The updated resource if AEP's answer shows it; None if it must be read.

        Raises:
            UncertainOutcome: it may have been updated.
        """
        raise NotImplementedError

    @abstractmethod
    async def delete(self, observed: Observed) -> None:
        """Deletes it.

        Raises:
            RequestRejected: AEP refuses to delete it.
            UncertainOutcome: it may have been deleted.
        """

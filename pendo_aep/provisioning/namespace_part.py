"""The identity namespace of Pendo's visitors."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pendo_aep.provisioning import identities
from pendo_aep.provisioning.client import Client
from pendo_aep.provisioning.errors import Conflict, NameTaken, Refused
from pendo_aep.provisioning.part import Existing, Kind, Known

# A person on several devices, as Pendo's visitors are. Adobe: "Identity types".
_TYPE = "Cross_device"
_NO_PEOPLE = "NON_PEOPLE"


@dataclass(frozen=True, slots=True)
class NamespacePart:
    """Found by its code; a namespace of Adobe's own, such as `Email`, will do as well."""

    client: Client
    code: str
    kind: Kind = Kind.NAMESPACE

    @property
    def name(self) -> str:
        """The code: AEP has it once."""
        return self.code

    async def find(self) -> list[str]:
        """The namespace with the code.

        Raises:
            NameTaken: another has the display name that this one would get.
        """
        everything = await identities.namespaces(self.client)
        found = [str(one["id"]) for one in everything if one["code"] == self.code]
        title = _display_name(self.code)
        for one in everything:
            if not found and str(one.get("name", "")).lower() == title.lower():
                raise NameTaken(
                    f"another identity namespace, {one['code']}, has the display name {title!r}: "
                    f"set AEP_IDENTITY_NAMESPACE={one['code']} to use that one, or to a new code"
                )
        return found

    async def read(self, part_id: str) -> Existing:
        """The namespace, from the list: it is the one call that Adobe shows an answer of."""
        for one in await identities.namespaces(self.client):
            if str(one["id"]) == part_id:
                return Existing(part_id, one)
        raise Conflict(f"the identity namespace {part_id} is gone: run the command again")

    def compare(self, existing: Existing, known: Known) -> tuple[str, ...]:  # noqa: ARG002
        """Nothing of a namespace can change.

        Raises:
            Conflict: its identities are not those of people.
        """
        kind = str(existing.body.get("idType", ""))
        if kind.upper() == _NO_PEOPLE:
            raise Conflict(
                f"the identity namespace {self.code} is of type {kind}, so its identities are no "
                "people: set AEP_IDENTITY_NAMESPACE to another code"
            )
        return ()

    async def create(self, known: Known) -> str:  # noqa: ARG002
        """Makes it; Adobe: it can never be deleted."""
        body = {
            "name": _display_name(self.code),
            "code": self.code,
            "description": "Pendo's visitor ids",
            "idType": _TYPE,
        }
        return await identities.create(self.client, body)

    async def change(self, existing: Existing, known: Known) -> None:
        """Never called: nothing of a namespace can change."""

    async def delete(self, existing: Existing) -> None:
        """Adobe has no way to do it.

        Raises:
            Refused: always.
        """
        raise Refused(405, "", f"AEP has no way to delete the identity namespace {existing.id}")


def _display_name(code: str) -> str:
    """`Pendo Visitor` of `PendoVisitor`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", code)

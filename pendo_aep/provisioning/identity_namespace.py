"""The identity namespace of Pendo's visitors (Adobe's OpenAPI of the Identity Service)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Final

from pendo_aep.provisioning.client import Operation
from pendo_aep.provisioning.errors import Conflict, NameTaken, Permission, RequestRejected
from pendo_aep.provisioning.resource import Json, Kind, Observed, Resolved, Resource

_PATH: Final = "/data/core/idnamespace/identities"
# A person on several devices, as Pendo's visitors are. Adobe: "Identity types".
_TYPE: Final = "Cross_device"
_NOT_PEOPLE: Final = "NON_PEOPLE"


@dataclass(frozen=True, slots=True)
class IdentityNamespace(Resource):
    """Found by its code, of which AEP has one; Adobe's own, such as `Email`, work as well."""

    kind: ClassVar[Kind] = Kind.NAMESPACE

    async def find(self) -> list[str]:
        """Returns the id of the namespace with the code.

        Raises:
            NameTaken: another has the display name that this one would get.
        """
        everything = await self._list()
        found = [str(one["id"]) for one in everything if one["code"] == self.name]
        title = _display_name(self.name)
        for one in everything:
            if not found and str(one.get("name", "")).lower() == title.lower():
                raise NameTaken(
                    f"another identity namespace, {one['code']}, has the display name {title!r}: "
                    f"set AEP_IDENTITY_NAMESPACE={one['code']} to use that one, or to a new code"
                )
        return found

    async def read(self, resource_id: str) -> Observed:
        """Reads it from the list, the one call that Adobe shows an answer of."""
        for one in await self._list():
            if str(one["id"]) == resource_id:
                return Observed(resource_id, one)
        raise Conflict(
            f"the identity namespace {resource_id} does not exist any more: run the command again"
        )

    def compare(self, observed: Observed, resolved: Resolved) -> tuple[str, ...]:  # noqa: ARG002
        """Returns nothing: a namespace cannot change.

        Raises:
            Conflict: its identities are not people.
        """
        id_type = str(observed.body.get("idType", ""))
        if id_type.upper() == _NOT_PEOPLE:
            raise Conflict(
                f"the identity namespace {self.name} is of type {id_type}, so its identities are "
                "not people: set AEP_IDENTITY_NAMESPACE to another code"
            )
        return ()

    async def create(self, resolved: Resolved) -> str:  # noqa: ARG002
        """Creates it. Adobe: it can never be deleted."""
        action = f"create the identity namespace {self.name}"
        operation = Operation(action, "POST", _PATH, Permission.MANAGE_NAMESPACES)
        body = {
            "name": _display_name(self.name),
            "code": self.name,
            "description": "Pendo's visitor ids",
            "idType": _TYPE,
        }
        return str((await self.client.write(operation, body))["id"])

    async def delete(self, observed: Observed) -> None:
        """Raises `RequestRejected`: Adobe documents no way to delete a namespace."""
        raise RequestRejected(405, "", f"AEP cannot delete the identity namespace {observed.id}")

    async def _list(self) -> list[Json]:
        """Returns all namespaces, also Adobe's own: the list has no filter."""
        operation = Operation("list identity namespaces", "GET", _PATH, Permission.VIEW_NAMESPACES)
        answer: list[Json] = await self.client.read(operation)
        return answer


def _display_name(code: str) -> str:
    """Returns `Pendo Visitor` for `PendoVisitor`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", code)

"""The identity namespaces of Pendo's visitors (Adobe's OpenAPI of the Identity Service)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Final

from pendo_aep.aep.mapping import MappingOptions
from pendo_aep.provisioning.client import Client, Operation
from pendo_aep.provisioning.errors import Conflict, NameTaken, Permission, RequestRejected
from pendo_aep.provisioning.resource import Json, Kind, Observed, Resolved, Resource
from pendo_aep.settings import ANONYMOUS_NAMESPACE

_PATH: Final = "/data/core/idnamespace/identities"
_NOT_PEOPLE: Final = "NON_PEOPLE"


@dataclass(frozen=True, slots=True)
class IdentityNamespace(Resource):
    """Found by its code, of which AEP has one; Adobe's own, such as `Email`, work as well.

    Attributes:
        id_type: what it is created with. Adobe: "Identity types".
        description: what it is created with.
        setting: which chooses it.
        values: what else that setting may be.
        is_strict: whether one that exists must have the type; else, it must be one of people.
    """

    kind: ClassVar[Kind] = Kind.NAMESPACE
    id_type: str
    description: str
    setting: str
    values: str
    is_strict: bool

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
                advice = f"={one['code']} to use that one, or to a new code"
                if self.name == ANONYMOUS_NAMESPACE:
                    advice = f" to {self.values}"
                raise NameTaken(
                    f"another identity namespace, {one['code']}, has the display name {title!r}: "
                    f"set {self.setting}{advice}"
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
            Conflict: it has another type, which can never change.
        """
        id_type = str(observed.body.get("idType", ""))
        if self.is_strict:
            fits, reason = id_type.upper() == self.id_type.upper(), f"not {self.id_type}"
        else:
            fits, reason = id_type.upper() != _NOT_PEOPLE, "so its identities are not people"
        if fits:
            return ()
        raise Conflict(
            f"the identity namespace {self.name} is of type {id_type}, {reason}, and a type cannot "
            f"change: set {self.setting} to {self.values}"
        )

    async def create(self, resolved: Resolved) -> str:  # noqa: ARG002
        """Creates it. Adobe: it can never be deleted."""
        action = f"create the identity namespace {self.name}"
        operation = Operation(action, "POST", _PATH, Permission.MANAGE_NAMESPACES)
        body = {
            "name": _display_name(self.name),
            "code": self.name,
            "description": self.description,
            "idType": self.id_type,
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


def namespaces(client: Client, options: MappingOptions) -> tuple[IdentityNamespace, ...]:
    """Returns those that the mapping needs. Adobe: "Identity types"."""
    found = [
        # A person on several devices, as Pendo's visitors are.
        IdentityNamespace(
            client,
            options.identity_namespace,
            "Cross_device",
            "Pendo's visitor ids",
            "AEP_IDENTITY_NAMESPACE",
            "another code",
            is_strict=False,
        )
    ]
    if options.anonymous_visitors == "separate":
        # Pendo: "Anonymous visitors", the id is kept in a cookie.
        found.append(
            IdentityNamespace(
                client,
                ANONYMOUS_NAMESPACE,
                "Cookie",
                "Pendo's ids of anonymous visitors",
                "AEP_ANONYMOUS_VISITORS",
                "same or none",
                is_strict=True,
            )
        )
    if options.email_namespace:
        found.append(
            IdentityNamespace(
                client,
                options.email_namespace,
                "Email",
                "Visitor ids of Pendo's that are e-mail addresses",
                "AEP_EMAIL_NAMESPACE",
                "another code",
                is_strict=True,
            )
        )
    return tuple(found)


def _display_name(code: str) -> str:
    """Returns `Pendo Visitor` for `PendoVisitor`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", code)

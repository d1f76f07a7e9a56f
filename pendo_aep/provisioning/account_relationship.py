"""The relationship of our events with the customer's own schema of accounts, for those who ask.

Adobe: "Define a relationship between two schemas using the Schema Registry API". It takes two
descriptors on a field of the source schema, here Pendo's account id: a reference identity, which
names the namespace of the other schema's primary identity, and then the relationship itself. (An
older version of that page puts the first one on the other schema; its later versions, and the guide
"Descriptors endpoint", on the field that refers.)

`xdm:descriptorOneToOne` exists in every edition of Real-Time CDP. The guide recommends
`xdm:descriptorRelationship` for new work in one place, and has it only for the B2B Edition in
another. That many events may refer to one account: Adobe, "Multi-entity segmentation overview".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final
from urllib.parse import quote

from pendo_aep.aep.mapping import own_object
from pendo_aep.provisioning.client import Operation
from pendo_aep.provisioning.descriptors import DESCRIPTORS, delete_descriptor, list_descriptors
from pendo_aep.provisioning.errors import Conflict, NameTaken, Permission, RequestRejected
from pendo_aep.provisioning.resource import Json, Kind, Observed, Resolved, Resource
from pendo_aep.provisioning.schema import EXPERIENCE_EVENT
from pendo_aep.provisioning.schema_registry import Schema, in_profile

_BASE: Final = "/data/foundation/schemaregistry/tenant"
_NAMESPACES: Final = "/data/core/idnamespace/identities"
_LOOKUP: Final = "application/vnd.adobe.xed+json; version=1"
_ANY: Final = "*/*"

_IDENTITY: Final = "xdm:descriptorIdentity"
_REFERENCE: Final = "xdm:descriptorReferenceIdentity"
_ONE_TO_ONE: Final = "xdm:descriptorOneToOne"
_GENERAL: Final = "xdm:descriptorRelationship"
_SOURCE, _PROPERTY = "xdm:sourceSchema", "xdm:sourceProperty"
_DESTINATION: Final = "xdm:destinationSchema"

_PROFILE_CLASS: Final = "https://ns.adobe.com/xdm/context/profile"
_TIME_SERIES: Final = "https://ns.adobe.com/xdm/data/time-series"


@dataclass(frozen=True, slots=True)
class AccountSchema:
    """The customer's schema of accounts, as far as a relationship needs it.

    Attributes:
        id: its `$id`.
        key: the path of its primary identity, as a descriptor has it.
        namespace: the code of that identity's namespace.
    """

    id: str
    key: str
    namespace: str


@dataclass(frozen=True, slots=True)
class AccountRelationship(Resource):
    """Both descriptors on Pendo's account id in our schema, as one resource with the schema's id.

    Nothing in AEP says who has made a descriptor: any on that field counts as ours.

    Attributes:
        schema: of the events.
        tenant_id: whose object has the field.
        account_schema: the `$id` or `meta:altId` of the schema of accounts; empty for whatever is
            related already.
    """

    kind: ClassVar[Kind] = Kind.ACCOUNT_RELATIONSHIP
    is_optional: ClassVar[bool] = True
    by_hand: ClassVar[str] = (
        "events are stored without it: relate the field by hand under Schemas "
        "(docs/recipes.md, Accounts)"
    )
    schema: Schema
    tenant_id: str
    account_schema: str = ""

    async def find(self) -> list[str]:
        """Returns the id of our schema, if its account id has one of the descriptors.

        Raises:
            Conflict: the schema of accounts cannot be related to.
        """
        if self.account_schema:
            await self._account()
        try:
            found = await self.schema.find()
        except NameTaken:  # for the schema itself to report
            return []
        return [one for one in found if await self._descriptors(one)]

    async def read(self, resource_id: str) -> Observed:
        """Reads the descriptors, and those that there must be."""
        body: Json = {"descriptors": await self._descriptors(resource_id)}
        if self.account_schema:
            body["desired"] = self._bodies(resource_id, await self._account())
        return Observed(resource_id, body)

    def compare(self, observed: Observed, resolved: Resolved) -> tuple[str, ...]:  # noqa: ARG002
        """Returns a line if a descriptor is missing, or refers to another schema.

        Raises:
            Conflict: the field has a relationship of the other type.
        """
        found: list[Json] = observed.body["descriptors"]
        if other := [one for one in found if one["@type"] == _GENERAL]:
            raise Conflict(
                f"{self._property} of the schema {self.schema.name!r} has a relationship that this "
                f"command does not make ({_GENERAL}, to {other[0].get(_DESTINATION)}): keep it and "
                "leave --account-schema out, or delete it in AEP, under Schemas"
            )
        desired: list[Json] = observed.body["desired"]
        if all(_current(found, body) == body for body in desired):
            return ()
        return (f"{self._property} refers to {desired[-1][_DESTINATION]}",)

    async def create(self, resolved: Resolved) -> str:
        """Creates both, and returns the id of our schema."""
        schema_id = resolved[Kind.SCHEMA].id
        await self.update(await self.read(schema_id), resolved)
        return schema_id

    async def update(self, observed: Observed, resolved: Resolved) -> None:  # noqa: ARG002
        """Creates what is missing, and changes what differs; the reference identity first."""
        for body in observed.body["desired"]:
            found = _of_type(observed.body["descriptors"], body)
            if found is None:
                await self._write("POST", "", body)
            elif _sent(found, body) != body:
                await self._write("PUT", f"/{found['@id']}", body)

    async def delete(self, observed: Observed) -> None:
        """Deletes what `create` makes, the relationship first.

        Adobe: "Descriptors endpoint" excepts no type from DELETE, and the guardrails of Profile
        speak of relationships that are removed. Of audiences that use one, nothing is said.
        """
        found: list[Json] = observed.body["descriptors"]
        for type_ in (_ONE_TO_ONE, _REFERENCE):
            for one in found:
                if one["@type"] == type_:
                    await delete_descriptor(self, one, Permission.MANAGE_SCHEMAS)

    def summary(self, observed: Observed) -> str:
        """Returns the schema that it refers to, in one line."""
        schemas = [one[_DESTINATION] for one in observed.body["descriptors"] if _DESTINATION in one]
        return f"{self.kind}: {self._property} refers to {', '.join(schemas) or 'no schema'}"

    @property
    def _property(self) -> str:
        return f"/{own_object(self.tenant_id)}/pendo/accountId"

    def _bodies(self, schema_id: str, account: AccountSchema) -> list[Json]:
        source = {_SOURCE: schema_id, "xdm:sourceVersion": 1, _PROPERTY: self._property}
        return [
            {"@type": _REFERENCE, **source, "xdm:identityNamespace": account.namespace},
            {
                "@type": _ONE_TO_ONE,
                **source,
                _DESTINATION: account.id,
                "xdm:destinationVersion": 1,
                "xdm:destinationProperty": account.key,
            },
        ]

    async def _account(self) -> AccountSchema:
        """Looks the schema of accounts up.

        Adobe: both schemas must be enabled for Profile and have a primary identity. That ours,
        which has an `identityMap`, is as good as one with a primary identity field is assumed: for
        Profile, it is.

        Raises:
            Conflict: it cannot be related to; the text says what to do.
        """
        path = f"{_BASE}/schemas/{quote(self.account_schema, safe='')}"
        action = f"read the schema of accounts {self.account_schema}"
        try:
            body: Json = await self.client.read(
                Operation(action, "GET", path, Permission.VIEW_SCHEMAS, _LOOKUP)
            )
        except RequestRejected as rejected:
            if rejected.status != 404:
                raise
            raise self._refusal(
                f"does not exist in the sandbox {self.client.sandbox}",
                "give its $id or meta:altId, which the Schema Registry lists (GET /tenant/schemas)",
            ) from None
        self._check_class(body)
        account_id = str(body["$id"])
        if not in_profile(Observed(account_id, body)):
            raise self._refusal(
                "is not enabled for Profile, which a relationship needs",
                "enable it in AEP, under Schemas; that cannot be undone",
            )
        primary = [
            one for one in await list_descriptors(self, _IDENTITY, account_id) if _is_primary(one)
        ]
        if not primary:
            raise self._refusal(
                "has no primary identity, which a relationship refers to",
                "mark the field with the account's id as primary identity in AEP, under Schemas",
            )
        namespace = str(primary[0]["xdm:namespace"])
        if primary[0].get("xdm:property") == "xdm:id":
            namespace = await self._namespace_code(namespace)
        return AccountSchema(account_id, str(primary[0][_PROPERTY]), namespace)

    async def _namespace_code(self, namespace_id: str) -> str:
        """Returns the code of a namespace, which an identity descriptor may name by its number."""
        operation = Operation(
            "list identity namespaces", "GET", _NAMESPACES, Permission.VIEW_NAMESPACES
        )
        for one in await self.client.read(operation):
            if str(one["id"]) == namespace_id:
                return str(one["code"])
        raise self._refusal(
            f"has its primary identity in the namespace {namespace_id}, which does not exist",
            "give it one that does, in AEP, under Schemas",
        )

    def _check_class(self, body: Json) -> None:
        """Checks that it can be looked up by a key.

        Adobe: "Guardrails for Profile": no time-series data for entities other than people; what
        an audience of people looks up is neither of the class of people nor of events.
        """
        class_ = str(body.get("meta:class"))
        extends = body.get("meta:extends", [])
        if class_ == EXPERIENCE_EVENT or _TIME_SERIES in extends:
            raise self._refusal(
                f"is of the class {class_}, so it holds events",
                "give the schema of records with one for each account",
            )
        if class_ == _PROFILE_CLASS:
            raise self._refusal(
                f"is of the class {class_}, so it holds people",
                "give a schema of XDM Business Account, or of a class of your own for accounts",
            )

    def _refusal(self, reason: str, advice: str) -> Conflict:
        return Conflict(f"--account-schema {self.account_schema} {reason}: {advice}")

    async def _descriptors(self, schema_id: str) -> list[Json]:
        """Returns the descriptors of these types on the account id of our schema."""
        return [
            one
            for type_ in (_REFERENCE, _ONE_TO_ONE, _GENERAL)
            for one in await list_descriptors(self, type_, schema_id)
            if one.get(_PROPERTY) == self._property
        ]

    async def _write(self, method: str, path: str, body: Json) -> None:
        action = f"set the {self.kind} of {self._property} ({body['@type']})"
        operation = Operation(
            action, method, f"{DESCRIPTORS}{path}", Permission.MANAGE_SCHEMAS, _ANY
        )
        await self.client.write(operation, body)


def _is_primary(descriptor: Json) -> bool:
    return descriptor.get("xdm:isPrimary") is True


def _of_type(found: list[Json], body: Json) -> Json | None:
    return next((one for one in found if one["@type"] == body["@type"]), None)


def _sent(descriptor: Json, body: Json) -> Json:
    """Returns what of a descriptor is ours to say: the registry adds more."""
    return {key: descriptor[key] for key in body if key in descriptor}


def _current(found: list[Json], body: Json) -> Json | None:
    one = _of_type(found, body)
    return None if one is None else _sent(one, body)

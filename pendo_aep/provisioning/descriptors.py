"""Friendly names and data usage labels: descriptors in the Schema Registry.

Adobe: "Descriptors endpoint". A descriptor says something about one field. Neither kind changes
what is stored, so AEP's refusal of one stops nothing.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from pendo_aep.aep.mapping import FIELDS, Field, own_object
from pendo_aep.provisioning.client import Operation
from pendo_aep.provisioning.errors import NameTaken, Permission, RequestRejected
from pendo_aep.provisioning.field_texts import NO_TEXT, FieldText, field_texts
from pendo_aep.provisioning.resource import Json, Kind, Observed, Resolved, Resource
from pendo_aep.provisioning.schema import SUGGESTED, is_own, merge_suggested, usable_fields
from pendo_aep.provisioning.schema_registry import FieldGroup, Schema

DESCRIPTORS: Final = "/data/foundation/schemaregistry/tenant/descriptors"
# Whole descriptors, as lists by their type. Adobe: descriptors have an Accept of their own.
_LIST: Final = "application/vnd.adobe.xdm+json"
_ANY: Final = "*/*"
_LOCALE: Final = "en_us"
_SOURCE, _PROPERTY, _LABELS = "xdm:sourceSchema", "xdm:sourceProperty", "xdm:labels"
_TITLE, _DESCRIPTION = "xdm:title", "xdm:description"
# What a PUT must repeat. The registry adds the rest itself: who made it, when, its `@id`.
_SENT: Final = ("xdm:", "meta:enum", "meta:excludeMetaEnum", "@type")


@dataclass(frozen=True, slots=True)
class Descriptors(Resource):
    """The descriptors of one type on the fields of our schema, as one resource.

    Its id is the schema's. It exists if one of the descriptors does.
    """

    is_optional: ClassVar[bool] = True
    type: ClassVar[str]
    needs: ClassVar[Permission]
    schema: Schema
    field_group: FieldGroup

    async def find(self) -> list[str]:
        """Returns the id of the schema, if a descriptor of this type is on one of its fields."""
        found = await _find(self.schema)
        return [one for one in found if _descriptors(await self.read(one))]

    async def read(self, resource_id: str) -> Observed:
        """Reads the descriptors of this type on our fields, of whoever has made them."""
        ours = {self._property(field) for field in self._fields()}
        sources = [resource_id]
        if any(is_own(field.xdm) for field in self._fields()):
            sources += await _find(self.field_group)
        found = [
            one
            for source in sources
            for one in await list_descriptors(self, self.type, source)
            if isinstance(one.get(_PROPERTY), str)
        ]
        return Observed(resource_id, {"descriptors": [x for x in found if x[_PROPERTY] in ours]})

    def compare(self, observed: Observed, resolved: Resolved) -> tuple[str, ...]:
        """Returns one line with the number of fields whose descriptor is missing or differs."""
        count = len(self._open(observed, resolved))
        return (f"{self.kind} of {count} field{'s' if count > 1 else ''}",) if count else ()

    async def create(self, resolved: Resolved) -> str:
        """Creates them, and returns the id of the schema."""
        schema_id = resolved[Kind.SCHEMA].id
        await self.update(Observed(schema_id, {}), resolved)
        return schema_id

    async def update(self, observed: Observed, resolved: Resolved) -> None:
        """Creates what is missing, and changes what differs.

        Raises:
            RequestRejected: AEP refuses a descriptor. All others have been created.
        """
        refusals: list[RequestRejected] = []
        for descriptor_id, body in self._open(observed, resolved):
            method, path = ("PUT", f"/{descriptor_id}") if descriptor_id else ("POST", "")
            action = f"set the {self.kind} of {body[_PROPERTY]}"
            operation = Operation(action, method, f"{DESCRIPTORS}{path}", self.needs, _ANY)
            try:
                await self.client.write(operation, body)
            except RequestRejected as rejected:
                refusals.append(rejected)
        if refusals:
            first, others = refusals[0], len(refusals) - 1
            more = f" (and {others} more)" if others else ""
            raise RequestRejected(first.status, first.code, f"{first}{more}")

    async def delete(self, observed: Observed) -> None:
        """Deletes them. Adobe does not say that they go with their schema."""
        for one in _descriptors(observed):
            await delete_descriptor(self, one, self.needs)

    @abstractmethod
    def summary(self, observed: Observed) -> str:
        """Returns them in one line."""

    @abstractmethod
    def _is_meant(self, field: Field, text: FieldText) -> bool:
        """Returns whether a field gets a descriptor of this type."""

    @abstractmethod
    def _body(self, field: Field, text: FieldText, resolved: Resolved) -> Json:
        """Returns the descriptor of a field."""

    @abstractmethod
    def _merge(self, found: Sequence[Json], body: Json) -> Json:
        """Returns a field's first descriptor as it shall be, as much as is sent of it."""

    def _fields(self) -> list[Field]:
        fields = usable_fields(FIELDS, self.schema.groups)
        by_path = {field.xdm: field for field in reversed(fields)}  # the first row of a field
        return [
            field
            for path, field in reversed(by_path.items())
            if self._is_meant(field, field_texts().get(path, NO_TEXT))
        ]

    def _property(self, field: Field) -> str:
        return source_property(field, self.field_group.tenant_id)

    def _open(self, observed: Observed, resolved: Resolved) -> list[tuple[str, Json]]:
        """Returns the bodies to send, each with the id of the descriptor that it replaces."""
        opened: list[tuple[str, Json]] = []
        for field in self._fields():
            head: Json = {"@type": self.type, "xdm:sourceVersion": 1}
            body = self._body(field, field_texts()[field.xdm], resolved)
            body = {**head, _PROPERTY: self._property(field), **body}
            found = [one for one in _descriptors(observed) if one[_PROPERTY] == body[_PROPERTY]]
            if not found:
                opened.append(("", body))
            elif (merged := self._merge(found, body)) != _sent(found[0]):
                opened.append((str(found[0]["@id"]), merged))
        return opened


@dataclass(frozen=True, slots=True)
class FriendlyNames(Descriptors):
    """Names, descriptions and suggested values of Adobe's fields, on our schema alone.

    Adobe: "Descriptors endpoint", friendly name descriptor. For the tenant's own fields, Adobe
    asks to change the field group itself.
    """

    kind: ClassVar[Kind] = Kind.FRIENDLY_NAMES
    type: ClassVar[str] = "xdm:alternateDisplayInfo"
    needs: ClassVar[Permission] = Permission.MANAGE_SCHEMAS
    by_hand: ClassVar[str] = (
        "events are stored without them: rename the fields by hand under Schemas, or leave it"
    )

    def summary(self, observed: Observed) -> str:
        """Returns how many fields have one."""
        return f"{self.kind} of {len(_descriptors(observed))} of Adobe's fields"

    def _is_meant(self, field: Field, text: FieldText) -> bool:
        return not is_own(field.xdm) and text is not NO_TEXT

    def _body(self, field: Field, text: FieldText, resolved: Resolved) -> Json:
        """Returns the body as Adobe's guide and the XDM repository have it.

        The tutorial "Manage enums and suggested values in the API" writes its keys without `xdm:`,
        and an object with a locale for each suggested value, which the repository does not allow.
        """
        body: Json = {
            _SOURCE: resolved[Kind.SCHEMA].id,
            _TITLE: {_LOCALE: _title_case(field.title)},
            _DESCRIPTION: {_LOCALE: text.description},
        }
        return {**body, SUGGESTED: dict(text.suggested)} if text.suggested else body

    def _merge(self, found: Sequence[Json], body: Json) -> Json:
        """Keeps names in other languages, and suggested values of others."""
        merged = _sent(found[0])
        for key in (_TITLE, _DESCRIPTION):
            merged[key] = {**_object(merged.get(key)), **body[key]}
        suggested = merge_suggested(_object(merged.get(SUGGESTED)), body.get(SUGGESTED, {}))
        return {**merged, SUGGESTED: suggested} if suggested else merged


@dataclass(frozen=True, slots=True)
class Labels(Descriptors):
    """Data usage labels on fields, so that policies of the tenant's can rely on them.

    Adobe: labels are for schemas now, no longer for fields of a dataset ("Data usage labels
    overview"), and a field's label reaches all schemas that have it from the same field group
    ("Manage data usage labels for a schema"). So only our own fields get one. The descriptor is not
    in Adobe's guide: its type and `xdm:labels`, a list of texts on a field of a "class/fieldgroup/
    schema", are from the XDM repository, Label Descriptor; that AEP's own UI puts it on the field
    group, from public clients. Adobe's "External audiences endpoint" writes a label as `core/C2`.
    """

    kind: ClassVar[Kind] = Kind.LABELS
    type: ClassVar[str] = "xdm:descriptorLabel"
    needs: ClassVar[Permission] = Permission.MANAGE_LABELS
    by_hand: ClassVar[str] = (
        "label the fields by hand (docs/aep-ui.md, Labels), or give --labels none"
    )

    def summary(self, observed: Observed) -> str:
        """Returns the labels, each with its fields."""
        fields: dict[str, list[str]] = {}
        for one in _descriptors(observed):
            for label in one.get(_LABELS, []):
                path = str(one[_PROPERTY]).strip("/").replace("/", ".")
                fields.setdefault(_short(label), []).append(path)
        found = (f"{label} on {', '.join(paths)}" for label, paths in sorted(fields.items()))
        return f"{self.kind}: {'; '.join(found)}"

    def _is_meant(self, field: Field, text: FieldText) -> bool:
        return is_own(field.xdm) and bool(text.label)

    def _body(self, field: Field, text: FieldText, resolved: Resolved) -> Json:  # noqa: ARG002
        return {_SOURCE: resolved[Kind.FIELD_GROUP].id, _LABELS: [f"{_CORE}{text.label}"]}

    def _merge(self, found: Sequence[Json], body: Json) -> Json:
        """Adds our label, unless the field has it already, on the group or on the schema."""
        merged = _sent(found[0])
        labels = merged.get(_LABELS, [])
        known = {_short(label) for one in found for label in one.get(_LABELS, [])}
        missing = [label for label in body[_LABELS] if _short(label) not in known]
        return {**merged, _LABELS: [*labels, *missing]} if missing else merged


async def list_descriptors(resource: Resource, type_: str, source: str) -> list[Json]:
    """Returns the descriptors of a type on a schema or a field group.

    Adobe's OpenAPI has the filter `property`. That it takes two of them, and both of these keys, is
    from public clients; so what is found is compared again.
    """
    action = f"list the {resource.kind} of {source} ({type_})"
    operation = Operation(action, "GET", DESCRIPTORS, Permission.VIEW_SCHEMAS, _LIST)
    query = [("property", f"@type=={type_}"), ("property", f"{_SOURCE}=={source}")]
    answer: Json = await resource.client.read(operation, query)
    return [one for one in answer.get(type_, []) if one.get(_SOURCE) == source]


async def delete_descriptor(resource: Resource, descriptor: Json, needs: Permission) -> None:
    """Deletes a descriptor, unless it is gone already."""
    action = f"delete the {resource.kind} of {descriptor[_PROPERTY]} ({descriptor['@type']})"
    path = f"{DESCRIPTORS}/{descriptor['@id']}"
    try:
        await resource.client.write(Operation(action, "DELETE", path, needs, _ANY))
    except RequestRejected as rejected:
        if rejected.status != 404:
            raise


_CORE: Final = "core/"


def _short(label: object) -> str:
    """Returns a core label as its glossary names it; those of the tenant's stay as they are."""
    return str(label).removeprefix(_CORE)


def source_property(field: Field, tenant_id: str) -> str:
    """Returns the path of a field in a descriptor.

    Adobe: it begins with a slash, does not end with one, and leaves `properties` out. For what is
    in the elements of an array it shows none; `[*]` is from Adobe's B2B schemas (assumed).
    """
    path = field.xdm.removesuffix("[]").format(tenant=own_object(tenant_id), namespace="")
    return "/" + path.replace("[]", "[*]").replace(".", "/")


def _title_case(title: str) -> str:
    """Adobe: friendly names are "written in Title Case"; `ID` stays as it is."""
    return " ".join(word[:1].upper() + word[1:] for word in title.split())


async def _find(resource: Resource) -> list[str]:
    """Returns its ids; a title that something else has is for the resource itself to report."""
    try:
        return await resource.find()
    except NameTaken:
        return []


def _descriptors(observed: Observed) -> list[Json]:
    found: list[Json] = observed.body.get("descriptors", [])
    return found


def _sent(descriptor: Json) -> Json:
    return {key: value for key, value in descriptor.items() if key.startswith(_SENT)}


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}

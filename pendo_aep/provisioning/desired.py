"""What AEP must have: a person's choices, and the resources that they need in order of creation."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

from pendo_aep.aep.mapping import DEFAULT_OPTIONS, MappingOptions
from pendo_aep.provisioning.account_relationship import AccountRelationship
from pendo_aep.provisioning.client import Client
from pendo_aep.provisioning.dataset import Dataset
from pendo_aep.provisioning.descriptors import FriendlyNames, Labels
from pendo_aep.provisioning.errors import Conflict, PlatformError
from pendo_aep.provisioning.flow_service import (
    SPECS,
    BaseConnection,
    Dataflow,
    DataFormat,
    FlowSpec,
    Source,
    SourceConnection,
    TargetConnection,
)
from pendo_aep.provisioning.identity_namespace import namespaces
from pendo_aep.provisioning.mapping_set import MappingSet
from pendo_aep.provisioning.resource import Kind, Resource
from pendo_aep.provisioning.schema import STANDARD_GROUPS, StandardGroup, missing_groups, titles
from pendo_aep.provisioning.schema_registry import FieldGroup, Schema, find_standard_groups

# Adobe documents no escape for other characters in filters, where `*` and `,` mean something.
_NAME: Final = re.compile(r"\w[\w .-]{0,79}")

LabelChoice: TypeAlias = Literal["default", "none"]


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person can choose, on the command line or in a small TOML file.

    Attributes:
        source: Adobe's Pendo source (beta), or the HTTP API source.
        format: what `deliver` sends: the normalised event, mapped by the dataflow, or XDM.
        authenticated: whether the inlet wants a token.
        profile: whether the events go to Real-Time Customer Profile, too. It cannot be undone.
        name: of the dataset and the schema; all other names begin with it.
        labels: which data usage labels the fields get: ours, or none.
        account_schema: the id of the customer's schema of accounts, which the events are to be
            related to; empty for none.
    """

    source: Source = "pendo"
    format: DataFormat = "raw"
    authenticated: bool = False
    profile: bool = False
    name: str = "Pendo Events"
    labels: LabelChoice = "default"
    account_schema: str = ""

    def __post_init__(self) -> None:
        """Rejects choices that do not go together.

        Raises:
            PlatformError: it says what to change.
        """
        if self.source not in ("pendo", "http"):
            raise PlatformError(f"source: {self.source!r} is neither pendo nor http")
        if self.format not in ("raw", "xdm"):
            raise PlatformError(f"format: {self.format!r} is neither raw nor xdm")
        if self.labels not in ("default", "none"):
            raise PlatformError(f"labels: {self.labels!r} is neither default nor none")
        if self.account_schema and not self.profile:
            raise PlatformError(
                "account_schema: AEP relates only schemas that are enabled for Profile: add "
                "--profile, which cannot be undone, or leave --account-schema out"
            )
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
    """Returns the choices that were given, then those of the file, then the defaults.

    Args:
        given: by the names of `Choices`; None where nothing was given.
        file: TOML with the same names.

    Raises:
        PlatformError: the file cannot be read, or choices do not go together.
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
            expected = "true or false" if types[name] is bool else "text in quotes"
            raise PlatformError(f"{file}: {name}: write {expected}")
    return found


@dataclass(frozen=True, slots=True)
class Tenant:
    """The tenant that the events belong to.

    Attributes:
        id: without an underscore.
        options: what the mapping depends on, and with it the namespaces.
        groups: Adobe's field groups that its schema registry has.
    """

    id: str
    options: MappingOptions = DEFAULT_OPTIONS
    groups: tuple[StandardGroup, ...] = STANDARD_GROUPS


async def with_available_groups(client: Client, tenant: Tenant, choices: Choices) -> Tenant:
    """Returns the tenant with the standard field groups that its registry has.

    Raises:
        Conflict: one is missing, but `deliver` would send its fields.
    """
    found = replace(tenant, groups=await find_standard_groups(client))
    missing = missing_groups(found.groups)
    if missing and choices.format == "xdm":
        raise Conflict(
            f"the Schema Registry does not have Adobe's field group {titles(missing)}, whose "
            "fields deliver sends in the format xdm: choose --format raw, which leaves them out"
        )
    return found


def desired_resources(client: Client, tenant: Tenant, choices: Choices) -> tuple[Resource, ...]:
    """Returns the resources, each after those that it refers to; what is optional comes last."""
    spec = SPECS[choices.source, choices.format]
    resources = (
        resource
        for resource in _resources(client, tenant, choices, spec)
        if (resource.kind is not Kind.CONNECTION or spec.has_base)
        and (resource.kind is not Kind.MAPPING_SET or spec.maps)
        and (resource.kind is not Kind.LABELS or choices.labels != "none")
        and (resource.kind is not Kind.ACCOUNT_RELATIONSHIP or choices.account_schema)
    )
    return tuple(sorted(resources, key=lambda resource: resource.is_optional))


def possible_resources(client: Client, tenant: Tenant, name: str) -> tuple[Resource, ...]:
    """Returns the resources that any choices could have created under a name."""
    choices = Choices(name=name)
    return _resources(client, tenant, choices, SPECS[choices.source, choices.format])


def _resources(
    client: Client, tenant: Tenant, choices: Choices, spec: FlowSpec
) -> tuple[Resource, ...]:
    # Adobe: no two resources of the Schema Registry may have the same title.
    name, options = choices.name, tenant.options
    group = FieldGroup(client, f"{name} Fields", tenant.id, options)
    schema = Schema(client, name, choices.profile, tenant.groups)
    return (
        *namespaces(client, options),
        group,
        schema,
        FriendlyNames(client, name, schema, group),
        Labels(client, name, schema, group),
        AccountRelationship(client, name, schema, tenant.id, choices.account_schema),
        Dataset(client, name, choices.profile),
        BaseConnection(client, f"{name} Connection", spec, choices.authenticated),
        SourceConnection(client, f"{name} Source", spec),
        TargetConnection(client, f"{name} Target"),
        MappingSet(client, f"{name} Mapping", tenant.id, options, tenant.groups, flow=name),
        Dataflow(client, name, spec),
    )

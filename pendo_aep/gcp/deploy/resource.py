"""One resource of the pipeline: what exists, how to create it, change what differs, delete it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pendo_aep.gcp.config import Config
from pendo_aep.gcp.gcloud import GROUPS, Command, CommandUnknown, Gcloud, field_at, run_parallel

# The same in an older gcloud, such as SDK 528, which has no `gcloud monitoring policies` yet.
_OLDER_GROUPS: Final[dict[str, Command]] = {"policies": ("alpha", "monitoring", "policies")}
# Google gives these their names, so they are found by what the console shows.
_BY_DISPLAY_NAME: Final = frozenset({"dashboards", "policies", "channels"})


class Inventory:
    """What exists: `inventory["topics"]["pendo-events"]` is what gcloud shows of that topic."""

    def __init__(self, config: Config, gcloud: Gcloud, kinds: Sequence[str]) -> None:
        """Lists some kinds, in parallel."""
        self._gcloud = gcloud
        self._flags: dict[str, Command] = {
            "functions": ("--v2", f"--regions={config['REGION']}"),
            "services": (f"--region={config['REGION']}",),
            "jobs": (f"--location={config['REGION']}",),
            "run_jobs": (f"--region={config['REGION']}",),
            "repositories": (f"--location={config['REGION']}",),
        }
        self._groups = dict(GROUPS)
        self._resources: dict[str, dict[str, Any]] = {}
        run_parallel(self.refresh, kinds)

    def __getitem__(self, kind: str) -> dict[str, Any]:
        return self._resources[kind]

    def group(self, kind: str) -> Command:
        """Returns the group that the installed gcloud has for a kind that was listed."""
        return self._groups[kind]

    def refresh(self, kind: str) -> None:
        """Lists one kind again."""
        try:
            found = self._list(kind)
        except CommandUnknown:
            older = _OLDER_GROUPS.get(kind)
            if older in (None, self._groups[kind]):
                raise
            self._groups[kind] = older
            found = self._list(kind)
        self._resources[kind] = {_name(kind, one): one for one in found}

    def _list(self, kind: str) -> list[dict[str, Any]]:
        return self._gcloud.read(*self._groups[kind], "list", *self._flags.get(kind, ())) or []


def _name(kind: str, thing: dict[str, Any]) -> str:
    if kind in _BY_DISPLAY_NAME:
        return str(thing.get("displayName", ""))
    if kind in {"services", "run_jobs"}:  # of Cloud Run, in the shape of Kubernetes
        return str(thing["metadata"]["name"])
    return str(thing["name"]).rpartition("/")[2]


# Google: LabelDescriptor.ValueType, whose first value is STRING.
_OMITTED: Final = frozenset({"STRING"})


class CannotUpdate(Exception):
    """A resource cannot be changed into what it should be; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Field:
    """One property of a resource.

    Attributes:
        path: where gcloud shows it.
        value: what it should be.
        flag: the flag that sets it; empty where the command sets it anyway.
        is_immutable: it can only be set when the resource is created.
        is_update_only: the flag exists for updates only; a new resource is right without it.
    """

    path: Command
    value: Any
    flag: str = ""
    is_immutable: bool = False
    is_update_only: bool = False

    def matches(self, seen: Any) -> bool:
        """Returns whether gcloud shows this value."""
        return includes(field_at(seen, *self.path), self.value)


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that should exist in the project.

    Attributes:
        kind: one of `GROUPS`.
        name: its name in the inventory.
        create: the command that creates it, without the flags of the fields.
        delete: the command that deletes it.
        update: the command that changes it; the flags of the fields that differ are added.
        fields: the properties it should have.
    """

    kind: str
    name: str
    create: Command
    delete: Command
    update: Command = ()
    fields: tuple[Field, ...] = field(default=())


def ensure(resource: Resource, inventory: Inventory, gcloud: Gcloud) -> None:
    """Creates a resource, or changes what differs.

    Raises:
        CannotUpdate: it would have to be deleted and created again, with everything it holds.
    """
    seen = inventory[resource.kind].get(resource.name)
    if seen is None:
        gcloud.change(
            *resource.create, *(f.flag for f in resource.fields if f.flag and not f.is_update_only)
        )
        return
    wrong = [f for f in resource.fields if not f.matches(seen)]
    for one in wrong:
        if one.is_immutable:
            raise CannotUpdate(
                f"{resource.kind} {resource.name}: {'.'.join(one.path)} is not {one.value}, and "
                "cannot be changed; delete it first, with everything it holds: "
                f"{gcloud.typed(resource.delete)}"
            )
    if wrong:
        gcloud.change(*resource.update, *(f.flag for f in wrong if f.flag))


def includes(seen: Any, wanted: Any) -> bool:
    """Returns whether Google shows everything that is wanted; it may show more.

    Google's JSON leaves out what is zero, empty or the first of an enum, writes 64-bit numbers as
    text, and may give a list another order.
    """
    if isinstance(wanted, dict):
        fields = seen if isinstance(seen, dict) else {}
        return (seen is not None or not wanted) and all(
            includes(fields.get(name), value) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        shown = seen or []
        return len(shown) == len(wanted) and all(any(includes(s, w) for s in shown) for w in wanted)
    if seen is None:
        return not wanted or wanted in _OMITTED
    if isinstance(wanted, (int, float)) and not isinstance(wanted, bool):
        try:
            return float(seen) == wanted
        except (TypeError, ValueError):
            return False
    return bool(seen == wanted)

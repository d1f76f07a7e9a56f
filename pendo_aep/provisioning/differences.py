"""What cannot be changed in Flow Service: it is as it should be, or it is something else."""

from __future__ import annotations

from pendo_aep.provisioning.errors import Conflict
from pendo_aep.provisioning.part import Existing, Json, Kind


def refuse_difference(kind: Kind, name: str, existing: Existing, wanted: Json) -> None:
    """Compares what was set with what there is, of a thing that AEP cannot change.

    Raises:
        Conflict: something is otherwise; all of it is named.
    """
    differences = list(_differences(wanted, existing.body, ""))
    if differences:
        raise Conflict(
            f"the {kind} {name!r} ({existing.id}) is another than it should be: "
            f"{'; '.join(differences)}; AEP cannot change that: choose another --name, give the "
            "choices that it was made with, or run destroy first"
        )


def _differences(wanted: Json, there: Json, path: str) -> list[str]:
    """What was set and is otherwise; the server adds much, and need not show all that was sent."""
    found: list[str] = []
    for key, value in wanted.items():
        has = there.get(key)
        if isinstance(value, bool):  # an inlet that does not say that it wants a token is open
            has = bool(has)
        if isinstance(value, dict):
            found += _differences(value, has if isinstance(has, dict) else {}, f"{path}{key}.")
        elif key != "version" and has is not None and has != value:
            found.append(f"{path}{key} is {has!r}, not {value or 'one that is yet to be made'!r}")
    return found

"""`AEP_FIELDS`: the properties of Pendo's that the customer wants as typed fields of their own.

Standard library only: the deployment checks the setting too, without an installation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

ChosenType: TypeAlias = Literal["string", "number", "integer", "boolean", "date-time"]

MAX_FIELDS: Final = 100
MAX_DEPTH: Final = 5
_TYPES: Final[tuple[ChosenType, ...]] = get_args(ChosenType)
_ROOT: Final = "properties"
# Adobe: "Define XDM fields in the UI", the name of a field.
_NAME: Final = re.compile(r"[A-Za-z0-9-][A-Za-z0-9_-]*", re.ASCII)
_NAME_RULE: Final = "letters, digits, - and _, and does not begin with _"
# Longer than any entry that could be meant.
_MAX_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class ChosenField:
    """One entry of the setting.

    Attributes:
        path: the names below Pendo's `properties`.
        type: of the field.
    """

    path: tuple[str, ...]
    type: ChosenType

    @property
    def home(self) -> tuple[str, ...]:
        """The path of the object that has such fields, in the tenant's `pendo` object."""
        return ("track", _ROOT) if self._is_of_track_event else ("custom",)

    @property
    def names(self) -> tuple[str, ...]:
        """The path in that object."""
        return self.path[1:] if self._is_of_track_event else self.path

    @property
    def place(self) -> tuple[str, ...]:
        """The path in the tenant's `pendo` object, and in `fields` of a raw event."""
        return self.home + self.names

    @property
    def _is_of_track_event(self) -> bool:
        # Pendo: "Example Webhook Responses: ... Track Event".
        return self.path[0] == "eventProperties" and len(self.path) > 1

    @property
    def name(self) -> str:
        """The path as the setting has it."""
        return ".".join((_ROOT, *self.path))

    def __str__(self) -> str:
        return f"{self.name}:{self.type}"


def parse_chosen_fields(text: str) -> tuple[ChosenField, ...]:
    """Returns the entries of the setting, between which are white space or commas.

    Raises:
        ValueError: entries are wrong. It names every one, and what is wrong with it.
    """
    entries = [entry for entry in re.split(r"[\s,]+", text) if entry]
    fields: list[ChosenField] = []
    wrong: list[str] = []
    for entry in entries:
        try:
            fields.append(_parse(entry))
        except ValueError as error:
            wrong.append(f"{entry[:_MAX_SHOWN]!r}: {error}")
    wrong += _clashes(fields)
    if len(entries) > MAX_FIELDS:
        wrong.append(f"has {len(entries)} entries, {MAX_FIELDS} at most")
    if wrong:
        raise ValueError("; ".join(wrong))
    return tuple(fields)


def _parse(entry: str) -> ChosenField:
    path, _, type_ = entry.rpartition(":")
    root, *names = path.split(".")
    chosen = next((one for one in _TYPES if one == type_), None)
    if not path or chosen is None:
        raise ValueError(f"end it with one of :{', :'.join(_TYPES)}")
    if root != _ROOT or not names:
        raise ValueError(f"begin it with {_ROOT}., as in {_ROOT}.eventProperties.plan:string")
    if len(names) > MAX_DEPTH:
        raise ValueError(f"is {len(names)} names deep, {MAX_DEPTH} at most")
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot be a field in AEP, whose name has {_NAME_RULE}")
    return ChosenField(tuple(names), chosen)


def _clashes(fields: list[ChosenField]) -> Iterator[str]:
    """Yields what is wrong with two entries at once.

    Adobe: "XDM field type constraints", names of custom fields are case-insensitive.
    """
    paths: dict[tuple[str, ...], ChosenField] = {}
    for field in fields:
        other = paths.setdefault(tuple(name.lower() for name in field.path), field)
        if other is not field and other.path == field.path:
            yield f"{str(field)!r}: its property is there twice"
        elif other is not field:
            yield f"{str(field)!r}: differs from {str(other)!r} in case only, and AEP ignores case"
    for path, field in paths.items():
        for length in range(1, len(path)):
            if outer := paths.get(path[:length]):
                yield f"{str(field)!r}: is inside of {str(outer)!r}, choose one of them"

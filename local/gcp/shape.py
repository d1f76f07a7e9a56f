"""Whether a body has the shape that an API defines: gcloud sends on what it does not know.

The files in `shapes/` hold each message's fields and enums, as in the clients that gcloud carries
(SDK 528): a field is a type, a list of one, or the values of an enum.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import orjson

from local.gcp.problems import invalid
from local.gcp.state import Json

_SHAPES = Path(__file__).parent / "shapes"
_SCALARS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "number": (int, float, str),  # 64-bit numbers are text in Google's JSON
    "map": (dict,),
}


def check(body: Json, shape: str) -> None:
    """Refuses a body that has an unknown key, a value of another type, or an unknown enum value.

    Args:
        body: as sent.
        shape: the name of a file in `shapes/`, without its ending.

    Raises:
        Refused: says where.
    """
    document = _read(shape)
    _check(body, document["root"], document["messages"], "")


@cache
def _read(shape: str) -> Json:
    document: Json = orjson.loads((_SHAPES / f"{shape}.json").read_bytes())
    return document


def _check(value: Any, type_: Any, messages: Json, where: str) -> None:
    if isinstance(type_, list):
        _check_all(value, type_[0], messages, where)
    elif isinstance(type_, dict):
        many = type_["many"]
        for one in _items(value, where) if many else [value]:
            if one not in type_["enum"]:
                raise invalid(f"Invalid value at '{where}': {one!r}")
    elif type_ in _SCALARS:
        if not isinstance(value, _SCALARS[type_]):
            raise invalid(f"Invalid value at '{where}': no {type_}")
    else:
        if not isinstance(value, dict):
            raise invalid(f"Invalid value at '{where}': no {type_}")
        for name, field in value.items():
            if name not in messages[type_]:
                raise invalid(f"Unknown name '{name}' at '{where or type_}'")
            _check(field, messages[type_][name], messages, f"{where}.{name}".lstrip("."))


def _check_all(value: Any, type_: Any, messages: Json, where: str) -> None:
    for place, one in enumerate(_items(value, where)):
        _check(one, type_, messages, f"{where}[{place}]")


def _items(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise invalid(f"Invalid value at '{where}': no list")
    return value

"""The functions of Data Prep that are simulated (Adobe, "Data Prep mapping functions")."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import orjson

from local.aep_platform import assumed
from local.aep_platform.data_prep.dates import format_date, parse_date
from local.aep_platform.data_prep.errors import EvaluationFailed, ExpressionWrong
from local.aep_platform.data_prep.values import integer_of, kind_of, number_of, text_of

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Function:
    """What a function does, and how many arguments it takes; `most` None: any number."""

    body: Callable[..., Any]
    least: int
    most: int | None


def check_arity(name: str, arguments: int) -> None:
    """A call of a function that exists, with as many arguments as it takes.

    Raises:
        ExpressionWrong: it is not.
    """
    found = FUNCTIONS.get(name)
    if found is None:
        raise ExpressionWrong(f"there is no function {name}")
    if arguments < found.least or (found.most is not None and arguments > found.most):
        wanted = f"{found.least} to {'any number' if found.most is None else found.most}"
        raise ExpressionWrong(f"{name} takes {wanted} arguments, not {arguments}")


def _concat(*parts: Any) -> str:
    return "".join(map(text_of, parts))


def _is_empty(value: Any) -> bool:
    """Adobe: whether an object or an array is empty; for attributes there is `contains_key`."""
    if assumed.IS_EMPTY_OF_A_TEXT_FAILS and not isinstance(value, list | dict | None):
        raise EvaluationFailed(f"is_empty takes an object or a list, not {kind_of(value)}")
    return not value


def _iif(condition: Any, then: Any, otherwise: Any) -> Any:
    if not isinstance(condition, bool):
        raise EvaluationFailed(f"the condition of iif is {kind_of(condition)}")
    return then if condition else otherwise


def _nullify() -> None:
    return None


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _pairs(*values: Any) -> Json:
    if len(values) % 2:
        raise EvaluationFailed("a key has no value")
    return {text_of(k): v for k, v in zip(values[::2], values[1::2], strict=True)}


def _to_array(with_nulls: Any, *values: Any) -> list[Any]:
    if not isinstance(with_nulls, bool):
        raise EvaluationFailed("the first argument of to_array must be true or false")
    return [value for value in values if with_nulls or value is not None]


def _object_to_map(*values: Any) -> Json:
    if len(values) == 1 and isinstance(values[0], Mapping):
        return dict(values[0])
    return _pairs(*values)


def _array_to_map(elements: Any, key: Any) -> Json:
    if not isinstance(elements, list) or not all(isinstance(one, dict) for one in elements):
        raise EvaluationFailed(f"array_to_map takes a list of objects, not {kind_of(elements)}")
    return {text_of(one.get(text_of(key))): one for one in elements}


def _map_get_values(found: Any, keys: Any) -> list[Any]:
    if not isinstance(found, Mapping):
        raise EvaluationFailed(f"map_get_values takes a map, not {kind_of(found)}")
    wanted = keys if isinstance(keys, list) else [keys]
    return [found[key] for key in map(text_of, wanted) if key in found]


def _size_of(value: Any) -> int:
    if isinstance(value, str | list | dict):
        return len(value)
    raise EvaluationFailed(f"{kind_of(value)} has no size")


def _join(separator: Any, parts: Any) -> str:
    if not isinstance(parts, list):
        raise EvaluationFailed(f"join takes a list, not {kind_of(parts)}")
    return text_of(separator).join(map(text_of, parts))


def _matches_regex(text: Any, pattern: Any) -> bool:
    # Adobe's example is of the whole text; that a part would do is not said.
    try:
        return re.fullmatch(text_of(pattern), text_of(text)) is not None
    except re.error:
        raise EvaluationFailed("matches_regex: the pattern is no regular expression") from None


def _to_decimal(value: Any) -> float:
    return float(number_of(value))


def _date(value: Any, pattern: Any = None, default: Any = None) -> Any:
    if value is None and default is not None:
        return default
    if isinstance(value, datetime):
        return value
    return parse_date(text_of(value), None if pattern is None else text_of(pattern))


def _dformat(milliseconds: Any, pattern: Any) -> str:
    seconds, rest = divmod(integer_of(milliseconds), 1000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)
    return format_date(moment, text_of(pattern))


def _json_to_object(text: Any) -> Any:
    try:
        return orjson.loads(text_of(text))
    except orjson.JSONDecodeError:
        raise EvaluationFailed("json_to_object: this is not JSON") from None


def _lower(text: Any) -> str:
    return text_of(text).lower()


def _upper(text: Any) -> str:
    return text_of(text).upper()


def _trim(text: Any) -> str:
    return text_of(text).strip()


def _contains_key(_: Any) -> bool:
    raise EvaluationFailed("contains_key is evaluated where the source data is")


FUNCTIONS: Final[Mapping[str, Function]] = {
    "array_to_map": Function(_array_to_map, 2, 2),
    "coalesce": Function(_coalesce, 1, None),
    "concat": Function(_concat, 1, None),
    "contains_key": Function(_contains_key, 1, 1),
    "date": Function(_date, 1, 3),
    "dformat": Function(_dformat, 2, 2),
    "iif": Function(_iif, 3, 3),
    "is_empty": Function(_is_empty, 1, 1),
    "join": Function(_join, 2, 2),
    "json_to_object": Function(_json_to_object, 1, 1),
    "lower": Function(_lower, 1, 1),
    "map_get_values": Function(_map_get_values, 2, 2),
    "matches_regex": Function(_matches_regex, 2, 2),
    "nullify": Function(_nullify, 0, 0),
    "object_to_map": Function(_object_to_map, 1, None),
    "size_of": Function(_size_of, 1, 1),
    "to_array": Function(_to_array, 1, None),
    "to_decimal": Function(_to_decimal, 1, 1),
    "to_integer": Function(integer_of, 1, 1),
    "to_map": Function(_pairs, 2, None),
    "to_object": Function(_pairs, 2, None),
    "trim": Function(_trim, 1, 1),
    "upper": Function(_upper, 1, 1),
}

"""Data Prep's paths and expressions: parsed, and evaluated for one record of source data.

From Adobe's "Data Prep mapping functions" and "Handling data formats"; where these are silent, see
`local.aep_platform.assumed`. Simulated are paths of names, literals, and calls of the functions
that the mapping set of `aep` uses, and of two that our documentation recommends or warns of
(`contains_key`, `is_empty`). Elements of arrays (`a[0].b`, `a[*].b`), operators and the other
functions are refused: nothing uses them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

from lark import Lark, Token, Tree, UnexpectedInput, UnexpectedToken

from local.aep_platform import assumed

MAX_CHARACTERS: Final = 4096  # Adobe: of a calculated field

# Adobe, "Data Prep mapping functions", section on fields; the names of its functions are reserved,
# too, and no field of ours has one.
_RESERVED_WORDS = (
    "new mod or break var lt for false while eq gt div not null continue else and ne true le if ge "
    "return _errors do function empty size"
)
_RESERVED: Final = frozenset(_RESERVED_WORDS.split())
_LITERALS: Final[dict[str, Any]] = {"true": True, "false": False, "null": None}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}

# `a.b`, `${First Name}.c`, `street\.name`
_NAME = r"(?:\$\{[^}]*\}|[^\W\d](?:[\w$]|\\\.)*|\$(?!\{)(?:[\w$]|\\\.)*)"
_PATH = re.compile(rf"{_NAME}(?:\.{_NAME})*")
_GRAMMAR = rf"""
    ?start: expression
    ?expression: STRING | NUMBER | PATH | call
    call: PATH "(" [expression ("," expression)*] ")"
    STRING: /"([^"\\]|\\.)*"|'([^'\\]|\\.)*'/s
    NUMBER: /-?\d+(\.\d+)?/
    PATH: /{_PATH.pattern}/
    %ignore /\s+/
"""


class InvalidExpression(Exception):
    """A text that is no expression, or names a function that does not exist; it says why."""


class EvaluationFailed(Exception):
    """An expression has no value for this data, or one that does not fit; the text says why."""


Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, a number, true, false or null."""

    value: Any


@dataclass(frozen=True, slots=True)
class Reference:
    """What is at a path of the source data."""

    path: Path


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A function of Data Prep and its arguments."""

    function: str
    arguments: tuple[Node, ...]


Node: TypeAlias = Literal | Reference | FunctionCall


def parse(text: str) -> Node:
    """Parses an expression.

    Raises:
        InvalidExpression: it is none, is too long, or calls a function that does not exist.
    """
    if len(text) > MAX_CHARACTERS:
        raise InvalidExpression(f"longer than {MAX_CHARACTERS} characters")
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as unexpected:
        is_at_end = isinstance(unexpected, UnexpectedToken) and unexpected.token.type == "$END"
        found = "the end" if is_at_end else repr(text[unexpected.pos_in_stream or 0])
        raise InvalidExpression(f"unexpected {found} in {text!r}") from None
    return _node(tree)


@cache
def _parser() -> Lark:
    """Makes the parser when it is first used: that takes as long as all imports here."""
    return Lark(_GRAMMAR, parser="lalr", maybe_placeholders=False)


def _node(parsed: Tree[Token] | Token) -> Node:
    if isinstance(parsed, Tree):
        function, *arguments = parsed.children
        _check_arity(str(function), len(arguments))
        return FunctionCall(str(function), tuple(map(_node, arguments)))
    if parsed.type == "STRING":
        return Literal(re.sub(r"(?s)\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), parsed[1:-1]))
    if parsed.type == "NUMBER":
        return Literal(float(parsed) if "." in parsed else int(parsed))
    return Literal(_LITERALS[parsed]) if parsed in _LITERALS else Reference(parse_path(parsed))


def parse_path(text: str) -> Path:
    """Parses a path.

    Raises:
        InvalidExpression: it is none, or has a name that must be wrapped in `${}`.
    """
    if not _PATH.fullmatch(text):
        raise InvalidExpression(f"not a path: {text!r} (wrap names with other characters in ${{}})")
    names = re.findall(_NAME, text)
    for name in names:
        if name in _RESERVED:
            raise InvalidExpression(f"{name} is a reserved word: write ${{{name}}}")
    unwrapped = (name[2:-1] if name.startswith("${") else name for name in names)
    return tuple(name.replace("\\.", ".") for name in unwrapped)


def read(document: Any, path: Path) -> Any:
    """Returns what is at a path; None for nothing."""
    value = document
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def exists(document: Any, path: Path) -> bool:
    """Returns whether the last key of a path exists, whatever its value."""
    *parents, last = path
    holder = read(document, tuple(parents))
    return isinstance(holder, Mapping) and last in holder


def evaluate(node: Node, document: Any) -> Any:
    """Returns the value of an expression for a record of source data.

    Raises:
        EvaluationFailed: it has none.
    """
    # Called dozens of times for each event: matching the classes' patterns takes twice as long.
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Reference):
        return read(document, node.path)
    # All of them first: nothing says that iif leaves out what it does not choose.
    values = [evaluate(argument, document) for argument in node.arguments]
    if node.function == "contains_key":
        return _contains_key(values[0], document)
    return FUNCTIONS[node.function].body(*values)


def text_of(value: Any) -> str:
    """Returns a scalar as text.

    Raises:
        EvaluationFailed: it is an object, an array or null.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise EvaluationFailed(f"{kind_of(value)} is no text")


def kind_of(value: Any) -> str:
    """Names the type of a value, without the value: it may be somebody's data."""
    if value is None:
        return "null"
    for kind, name in ((bool, "a boolean"), (str, "a text"), (dict, "an object"), (list, "a list")):
        if isinstance(value, kind):
            return name
    return "a number"


@dataclass(frozen=True, slots=True)
class Function:
    """What a function does, and how many arguments it takes; `most` None: any number."""

    body: Callable[..., Any]
    least: int
    most: int | None


def _check_arity(name: str, arguments: int) -> None:
    found = FUNCTIONS.get(name)
    if found is None:
        raise InvalidExpression(f"there is no function {name}")
    if arguments < found.least or (found.most is not None and arguments > found.most):
        wanted = f"{found.least} to {'any number' if found.most is None else found.most}"
        raise InvalidExpression(f"{name} takes {wanted} arguments, not {arguments}")


def _concat(*texts: Any) -> str:
    """Adobe: "Concatenates the given strings"; of null nothing is said, so that it fails here."""
    return "".join(map(text_of, texts))


def _lower(text: Any) -> str:
    """Adobe: "Converts a string to lowercase". Assumed: whatever the language of the server is."""
    return text_of(text).lower()


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _contains_key(path: Any, document: Any) -> bool:
    try:
        return exists(document, parse_path(text_of(path)))
    except InvalidExpression as invalid:
        raise EvaluationFailed(f"contains_key: {invalid}") from None


def _iif(condition: Any, then: Any, otherwise: Any) -> Any:
    if not isinstance(condition, bool):
        raise EvaluationFailed(f"the condition of iif is {kind_of(condition)}")
    return then if condition else otherwise


def _is_empty(value: Any) -> bool:
    """Adobe: whether an object or an array is empty; for attributes there is `contains_key`."""
    if assumed.IS_EMPTY_OF_A_TEXT_FAILS and not isinstance(value, list | dict | None):
        raise EvaluationFailed(f"is_empty takes an object or a list, not {kind_of(value)}")
    return not value


def _matches_regex(text: Any, pattern: Any) -> bool:
    # Adobe's example is of the whole text; that a part would do is not said.
    try:
        return re.fullmatch(text_of(pattern), text_of(text)) is not None
    except re.error:
        raise EvaluationFailed("matches_regex: the pattern is no regular expression") from None


def _nullify() -> None:
    return None


def _to_array(with_nulls: Any, *values: Any) -> list[Any]:
    if not isinstance(with_nulls, bool):
        raise EvaluationFailed("the first argument of to_array must be true or false")
    return [value for value in values if with_nulls or value is not None]


def _to_object(*values: Any) -> dict[str, Any]:
    if len(values) % 2:
        raise EvaluationFailed("a key has no value")
    return {text_of(k): v for k, v in zip(values[::2], values[1::2], strict=True)}


FUNCTIONS: Final[Mapping[str, Function]] = {
    "coalesce": Function(_coalesce, 1, None),
    "concat": Function(_concat, 1, None),
    "contains_key": Function(_contains_key, 1, 1),  # `evaluate` adds the source data
    "iif": Function(_iif, 3, 3),
    "is_empty": Function(_is_empty, 1, 1),
    "lower": Function(_lower, 1, 1),
    "matches_regex": Function(_matches_regex, 2, 2),
    "nullify": Function(_nullify, 0, 0),
    "to_array": Function(_to_array, 1, None),
    "to_map": Function(_to_object, 2, None),
    "to_object": Function(_to_object, 2, None),
}

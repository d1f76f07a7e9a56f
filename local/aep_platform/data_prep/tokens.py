"""The words of an expression."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from local.aep_platform.data_prep.errors import ExpressionWrong
from local.aep_platform.data_prep.paths import SEGMENT, Path, scan_path

Sort: TypeAlias = Literal["literal", "path", "sign", "end"]

_SPACE = re.compile(r"\s*")
_NUMBER = re.compile(r"\d+(\.\d+)?")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'', re.DOTALL)
_SIGN = re.compile(r"==|!=|<=|>=|&&|\|\||[-+*/%<>!().,\[\]]")
_WORDS = {"true": True, "false": False, "null": None}
_WORD = re.compile(r"(true|false|null)(?![\w$.\[])")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True, slots=True)
class Token:
    """One word; `value` is a literal's value, a path, or the sign itself."""

    sort: Sort
    value: Any
    at: int


def tokens(text: str) -> list[Token]:
    """The words of a text, with one that marks its end.

    Raises:
        ExpressionWrong: something in it is no word.
    """
    found: list[Token] = []
    at = 0
    while (at := _end(_SPACE, text, at)) < len(text):
        token, at = _next(text, at)
        found.append(token)
    return [*found, Token("end", "the end", at)]


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _next(text: str, at: int) -> tuple[Token, int]:
    if word := _WORD.match(text, at):
        return Token("literal", _WORDS[word[1]], at), word.end()
    if number := _NUMBER.match(text, at):
        value = float(number[0]) if number[1] else int(number[0])
        return Token("literal", value, at), number.end()
    if string := _STRING.match(text, at):
        inner = string[1] if string[1] is not None else string[2]
        return Token("literal", _unescaped(inner), at), string.end()
    if SEGMENT.match(text, at):
        path: Path
        path, end = scan_path(text, at)
        return Token("path", path, at), end
    if sign := _SIGN.match(text, at):
        return Token("sign", sign[0], at), sign.end()
    raise ExpressionWrong(f"unexpected {text[at]!r} at {at}: {text!r}")


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text, flags=re.DOTALL)

"""From text to nodes, by recursive descent; operators bind as in C."""

from __future__ import annotations

from typing import Final

from local.aep_platform.data_prep.errors import ExpressionWrong
from local.aep_platform.data_prep.functions import check_arity
from local.aep_platform.data_prep.nodes import Apply, Array, Literal, Node, Operation, Reference
from local.aep_platform.data_prep.paths import Path
from local.aep_platform.data_prep.tokens import Token, tokens

MAX_CHARACTERS: Final = 4096  # Adobe: of a calculated field
_BINARY: Final = (
    frozenset({"||"}),
    frozenset({"&&"}),
    frozenset({"==", "!="}),
    frozenset({"<", ">", "<=", ">="}),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "%"}),
)


def parse(text: str) -> Node:
    """The expression that a text is.

    Raises:
        ExpressionWrong: it is none, is too long, or calls a function that does not exist.
    """
    if len(text) > MAX_CHARACTERS:
        raise ExpressionWrong(f"longer than {MAX_CHARACTERS} characters")
    parser = _Parser(text)
    node = parser.expression()
    parser.expect_end()
    return node


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._at = 0

    def expression(self, level: int = 0) -> Node:
        if level == len(_BINARY):
            return self._unary()
        left = self.expression(level + 1)
        while self._next.sort == "sign" and self._next.value in _BINARY[level]:
            sign = self._take().value
            left = Operation(sign, (left, self.expression(level + 1)))
        return left

    def expect_end(self) -> None:
        if self._next.sort != "end":
            raise self._unexpected(self._next)

    def _unary(self) -> Node:
        if self._is("!") or self._is("-"):
            return Operation(self._take().value, (self._unary(),))
        return self._primary()

    def _primary(self) -> Node:
        token = self._take()
        if token.sort == "literal":
            return Literal(token.value)
        if token.sort == "path":
            return self._after_path(token.value)
        if token.value == "(":
            node = self.expression()
            self._expect(")")
            return node
        if token.value == "[":
            return Array(self._list("]"))
        raise self._unexpected(token)

    def _after_path(self, path: Path) -> Node:
        """A reference, or a call `f(..)`."""
        if not self._is("("):
            return Reference(path)
        self._take()
        arguments = self._list(")")
        name = ".".join(map(str, path))
        check_arity(name, len(arguments))
        return Apply(name, arguments)

    def _list(self, end: str) -> tuple[Node, ...]:
        found: list[Node] = []
        if not self._is(end):
            found.append(self.expression())
            while self._is(","):
                self._take()
                found.append(self.expression())
        self._expect(end)
        return tuple(found)

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _is(self, sign: str) -> bool:
        return self._next.sort == "sign" and self._next.value == sign

    def _take(self) -> Token:
        token = self._next
        if token.sort != "end":
            self._at += 1
        return token

    def _expect(self, sign: str) -> None:
        if not self._is(sign):
            raise self._unexpected(self._next, f", expected {sign!r}")
        self._take()

    def _unexpected(self, token: Token, more: str = "") -> ExpressionWrong:
        return ExpressionWrong(f"unexpected {token.value!r} at {token.at}{more}: {self._text!r}")

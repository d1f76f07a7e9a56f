"""What an expression consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from local.aep_platform.data_prep.paths import Path


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, a number, true, false or null."""

    value: Any


@dataclass(frozen=True, slots=True)
class Reference:
    """What stands at a path of the source data."""

    path: Path


@dataclass(frozen=True, slots=True)
class Apply:
    """A function of Data Prep and its arguments."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator and its one or two operands."""

    sign: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Array:
    """`[1, 2]`."""

    elements: tuple[Node, ...]


Node: TypeAlias = Literal | Reference | Apply | Operation | Array

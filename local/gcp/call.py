"""One call of an API, as its handler sees it, and what the handler answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import orjson

from local.gcp.problems import invalid
from local.gcp.state import Json


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call and what came of it.

    Attributes:
        path: with the name of the API in front, as in `pubsub/v1/projects/P/topics/T`.
        changed: whether it was one that changes things, and succeeded.
    """

    method: str
    path: str
    status: int
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of an API that is enabled.

    Attributes:
        params: what stands in the path for the names of the route's template.
        headers: case-insensitive.
        body: as sent.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    params: Mapping[str, str]
    body: bytes

    def fields(self) -> Json:
        """The body, which must be a JSON object; none is an empty one.

        Raises:
            Refused: it is something else.
        """
        try:
            document = orjson.loads(self.body or b"{}")
        except orjson.JSONDecodeError:
            raise invalid("Invalid JSON payload received.") from None
        if not isinstance(document, dict):
            raise invalid("Invalid JSON payload received: not an object.")
        return document


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call that succeeded is told."""

    body: object = field(default_factory=dict)


Handler: TypeAlias = Callable[[Call], Answer]


@dataclass(frozen=True)
class Route:
    """One operation of an API.

    Attributes:
        method: in capitals.
        template: a path with the API's name in front; `{name}` stands for one segment, or for what
            is before the colon of a verb.
        handler: does it.
        changes: whether it changes what exists.
        lane: calls of the same lane must not overlap; empty where they may.
    """

    method: str
    template: str
    handler: Handler
    changes: bool = False
    lane: str = ""

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/:]+)", self.template))

    def match(self, path: str) -> dict[str, str] | None:
        """The params of a path; None where it is another's."""
        found = self._pattern.fullmatch(path)
        return found.groupdict() if found else None

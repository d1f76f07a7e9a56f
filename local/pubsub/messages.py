"""A message, before and after it is stored."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

Draft: TypeAlias = tuple[bytes, dict[str, str]]
"""Data and attributes, as a publisher hands them over."""


@dataclass(frozen=True, slots=True)
class Message:
    """A published message.

    One object serves every subscription of its topic, so nothing about deliveries is in it.
    """

    id: str
    data: bytes
    attributes: dict[str, str]
    publish_time: datetime

"""Finds the answers of a poll, in whatever way Pendo spells them.

Pendo publishes a body of `pollSubmitted` (help article "Webhooks", 360032285012, section "Example
Webhook Responses"), but no copy of it could be read here. So every plausible spelling is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NotRequired, TypedDict

from pendo_aep.tolerant import text_of, to_json

# Under these keys of an object Pendo's API and Web SDK spell an answer.
_ANSWER_KEYS: Final = ("value", "response", "answer")
# Keys of `properties` that hold one answer as it is; the poll then stands beside it, in `pollId`.
_PLAIN_ANSWERS: Final = ("pollValue", "pollResponse", "pollAnswer")
# No spelling nests deeper than an array of polls with an array of answers each.
_MAX_ANSWER_DEPTH: Final = 4


class Answer(TypedDict):
    """One answer to one question of a poll; of a pick list, the id of the choice."""

    pollId: NotRequired[str]
    value: str


def answers_in(properties: dict[str, Any]) -> Iterator[Answer]:
    """The answers under every `poll*` key of a webhook's `properties`.

    Raises:
        Unreadable: an answer is nested too deep to be written as text.
    """
    for key, value in properties.items():
        if not key.startswith("poll"):
            continue
        if isinstance(value, list | dict):
            yield from _nested(value)
        elif key in _PLAIN_ANSWERS and value is not None:
            yield _answer(properties.get("pollId"), value)


def _nested(value: object, depth: int = 0) -> Iterator[Answer]:
    """Answers in an object `{pollId, value}`, in an array of them, or in an object of those."""
    if depth > _MAX_ANSWER_DEPTH:
        return
    if isinstance(value, list):
        for element in value:
            yield from _nested(element, depth + 1)
    elif isinstance(value, dict):
        given = next((value[key] for key in _ANSWER_KEYS if value.get(key) is not None), None)
        if given is not None:
            yield _answer(value.get("pollId", value.get("id")), given)
        else:
            for element in value.values():
                yield from _nested(element, depth + 1)


def _answer(poll: object, value: object) -> Answer:
    answer: Answer = {"value": value if isinstance(value, str) else to_json(value).decode()}
    if poll_id := text_of(poll):
        answer["pollId"] = poll_id
    return answer

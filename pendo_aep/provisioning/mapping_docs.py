"""`python -m pendo_aep.provisioning.mapping_docs`: generates what `docs/` says of the mapping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import orjson

from pendo_aep.aep.format import Raw
from pendo_aep.aep.mapping import FIELDS, Field
from pendo_aep.event import Event
from pendo_aep.provisioning.mapping_set import mappings
from pendo_aep.provisioning.resource import Json

_PROJECT: Final = Path(__file__).parents[2]
# Readers replace these with their own.
_TENANT: Final = "TENANT"
_NAMESPACE: Final = "PendoVisitor"
# Between them, these samples have every field of the normalised event.
_SAMPLES: Final = (
    "poll_submitted_several",
    "nps_submitted_comment",
    "track_event_received",
    "visitor_created",
)
# What `deliver` adds to an answer with a catalogue of polls; it is in no event on the topic.
_WORDS: Final = {
    "question": "How often do you plan a route?",
    "text": "Every morning",
    "type": "PickList",
}

_PAGE = """\
# Mapping

Generated from [`pendo_aep/aep/mapping.py`](../pendo_aep/aep/mapping.py) by \
`python -m pendo_aep.provisioning.mapping_docs`: change the table there, not this page. \
`_TENANT` stands for the tenant's own object: an underscore and the tenant id.

## Fields

The place in XDM of each field of the \
[normalised event](specification.md#the-normalised-event), in both formats: `AEP_FORMAT=xdm`, and \
`raw` with the mapping set below. What an event does not have, or has empty, is absent. Survey \
questions and answers have only the answers with both a poll id and a text. The type `json` is \
text that holds JSON; `identity` is an entry of `identityMap`, for ids of up to 1,024 characters. \
`question`, `text` and `type` of an answer are there only with a \
[catalogue of polls](pendo.md#poll-answers-in-words).

{fields}

## Mapping set

A dataflow makes the same XDM of what `AEP_FORMAT=raw` sends with these mappings, one set for \
events of all types. An array is mapped as a whole. {added} are not on the topic: `deliver` adds \
them, because Data Prep cannot make them.

{attributes}

Calculated fields:

{expressions}
"""


def main() -> None:
    """Writes the page and the sample."""
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")


def documents() -> Mapping[Path, str]:
    """Returns the text of each generated file of `docs/`."""
    folder = _PROJECT / "sample_events"
    events = (orjson.loads((folder / f"{name}.event.json").read_bytes()) for name in _SAMPLES)
    upload = orjson.dumps(sample(events), option=orjson.OPT_INDENT_2).decode()
    docs = _PROJECT / "docs"
    return {docs / "mapping.md": page(), docs / "aep-sample.json": upload + "\n"}


def sample(events: Iterable[Event]) -> Json:
    """Returns one event as `raw` sends it, with every field that any of these has.

    AEP learns from it what a raw event looks like, if a source is created by hand. No event of
    Pendo's has all fields: a poll has no rating, an NPS answer no poll.

    Args:
        events: where the fields come from; if several have one, the first.
    """
    merged: Json = {}
    for event in events:
        merged = _merge(merged, {**event})
    for answer in merged.get("answers", ()):
        answer |= _WORDS
    whole: Json = orjson.loads(Raw().encode(orjson.dumps(merged), cast("Event", merged)))
    return whole


def _merge(first: Json, second: Json) -> Json:
    """Returns the keys of both, at any depth; if both have a value, the first one's."""
    merged = {**second, **first}
    for key, value in first.items():
        if isinstance(value, dict) and isinstance(second.get(key), dict):
            merged[key] = _merge(value, second[key])
    return merged


def page() -> str:
    """Returns the page about the mapping, in Markdown."""
    lines = mappings(_TENANT, _NAMESPACE)
    simple = [line for line in lines if line["sourceType"] == "ATTRIBUTE"]
    *others, last = [f"`{field.added}`" for field in FIELDS if field.added]
    return _PAGE.format(
        fields=_table(("normalised event", "XDM", "type", "title", "events"), map(_row, FIELDS)),
        added=f"{', '.join(others)} and {last}",
        attributes=_table(
            ("source field", "target field"),
            ((f"`{line['source']}`", f"`{line['destination']}`") for line in simple),
        ),
        expressions="\n".join(_calculated(line) for line in lines if line not in simple).rstrip(),
    )


def _row(field: Field) -> tuple[str, ...]:
    xdm = field.xdm.format(tenant=f"_{_TENANT}", namespace=_NAMESPACE)
    only = ", ".join(f"`{prefix}*`" for prefix in field.only)
    return f"`{field.source}`", f"`{xdm}`", field.type, field.title, only or "all"


def _calculated(line: Mapping[str, Any]) -> str:
    return f"`{line['destination']}`\n```\n{line['source']}\n```\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    cells = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


if __name__ == "__main__":
    main()

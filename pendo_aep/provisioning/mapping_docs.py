"""`python -m pendo_aep.provisioning.mapping_docs`: generates what `docs/` says of the mapping."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import orjson

from pendo_aep.aep.format import Raw
from pendo_aep.aep.mapping import FIELDS, Field
from pendo_aep.chosen_fields import MAX_DEPTH, MAX_FIELDS
from pendo_aep.event import Event
from pendo_aep.provisioning.field_texts import NO_TEXT, field_texts
from pendo_aep.provisioning.mapping_set import mappings
from pendo_aep.provisioning.resource import Json

_PROJECT: Final = Path(__file__).parents[2]
# Readers replace these with their own.
_TENANT: Final = "TENANT"
_HEAD: Final = ("normalised event", "XDM", "type", "title", "description", "events")
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
`raw` with the mapping set below. What an event does not have, or has empty, is absent. \
`eventType` is `pendo.` and Pendo's name of the event. The type `json` is text that holds JSON; \
[`identity`](#identities) is an `identityMap`. A `question` and an `answer` are the texts of a \
survey that was answered: of an NPS survey `rating` and `reason`, of a poll its id, once for each \
choice. Only pairs of both are there, so that the two arrays stay aligned. \
`question`, `text` and `type` of an answer are there only with a \
[catalogue of polls](pendo.md#poll-answers-in-words).

{fields}

The descriptions, the values that AEP suggests and the data usage labels are those of \
[`field_texts.toml`](../pendo_aep/provisioning/field_texts.toml), which also says why a field has \
its label: {labels}.

### Properties

`AEP_PROPERTIES` chooses what `_TENANT.pendo.properties` holds of Pendo's `properties`, as JSON: \
`rest` (the default), what has no field of its own; `all`; `none`. `rest` leaves out {covered}, \
each only where the field has the same value, and objects that are empty then.

### Fields of your own

`_TENANT.pendo.properties` is text, from which an audience cannot pick a single value. \
`AEP_FIELDS` makes typed fields of the properties that it names, and with `AEP_PROPERTIES=rest` \
their values are no longer in the text. Each entry is a path and a type; white space or commas are \
between entries:

```
AEP_FIELDS="properties.eventProperties.plan:string properties.sampleGroup:integer"
```

A property of a track event, `properties.eventProperties.X`, goes to \
`_TENANT.pendo.track.properties.X`, any other `properties.X` to `_TENANT.pendo.custom.X`; deeper \
paths keep their names. Every name must be one that AEP allows: letters, digits, `-` and `_`, and \
not `_` at the beginning (Adobe: "Define XDM fields in the UI"); case makes no difference (Adobe: \
"XDM field type constraints"). A property with another name cannot be chosen. There can be \
{most} entries, {deepest} names deep.

| type | what fits |
|---|---|
| `string` | text; a number or a Boolean, as JSON writes it |
| `number` | a number, also as text (`12`, `-0.5`) |
| `integer` | a whole number between -(2^53 - 1) and 2^53 - 1, also as text |
| `boolean` | `true` or `false`, also as text |
| `date-time` | text with a date, a time and a zone (RFC 3339), or a positive number of seconds or \
milliseconds since 1970; stored in UTC with milliseconds |

A value that does not fit is left out of its field and stays in the text. `deliver` logs `value \
does not fit its field` with the name of the field and the number of values, never a value.

What may change later:

- Add a field: `aep apply`, then wait 15 minutes, then deploy. Events that AEP has already do not \
get it.
- Take one out: deploy, then `aep apply`. The field stays in AEP, and new events have the value in \
the text again.
- The type of a field can never change, and `aep apply` refuses it. Choose it with care; `string` \
if in doubt.

`aep` and the functions need the same `AEP_FIELDS`, `aep` first: until the dataflow has the \
mapping, AEP ignores the values, and with `AEP_PROPERTIES=rest` the text does not have them either.

## Identities

A visitor id is the primary identity of its event, for ids of up to 1,024 characters.

| setting | |
|---|---|
| `AEP_IDENTITY_NAMESPACE` | The namespace of visitors. Visitor ids of different Pendo \
subscriptions may collide: then each subscription needs a namespace of its own, and so a \
deployment of its own. Otherwise two people become one profile. |
| `AEP_ANONYMOUS_VISITORS` | Pendo keeps the id of a visitor whom the application has not named \
(`_PENDO_T_...`) in a cookie, and the same person gets others (Pendo: "Anonymous visitors"). With \
`separate`, the default, these go to the namespace `PendoAnonymous`, which Profile can let expire: \
it deletes a profile only if all its namespaces are configured as pseudonymous (Adobe: \
"Pseudonymous profiles data expiration"). `same` treats them as all others, `none` gives their \
events no identity. |
| `AEP_EMAIL_NAMESPACE` | Where visitor ids that are e-mail addresses go as well, in lower case. \
Not set by default: an address joins what other sources know of it, also where several people \
share a mailbox or somebody has given a wrong one, and their profiles merge (Adobe: "Identity \
graph linking rules overview"). |

`primary` is true for the visitor id alone. If the sandbox has identity graph linking rules, \
Profile ignores `primary` for events and takes the identity whose namespace has the highest \
priority; the data lake still goes by `primary` (Adobe: "Namespace priority"). A person namespace, \
as that of visitors or `Email`, then always comes before a cookie namespace, as `PendoAnonymous`; \
put that of visitors before `Email`.

## Mapping set

A dataflow makes the same XDM of what `AEP_FORMAT=raw` sends with these mappings, one set for \
events of all types. An array is mapped as a whole. {added} are not on the topic: `deliver` adds \
them, because Data Prep cannot make them. It also adds `fields`, with the values of the \
[fields of your own](#fields-of-your-own), each of which has one mapping more, such as \
`fields.track.properties.planName` to `_TENANT.pendo.track.properties.planName`. A name without a \
capital letter is written `${{plan}}` there (Adobe: "Data Prep mapping functions", reserved words).

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
    lines = mappings(_TENANT)
    simple = [line for line in lines if line["sourceType"] == "ATTRIBUTE"]
    *others, last = [f"`{field.added}`" for field in FIELDS if field.added]
    return _PAGE.format(
        fields=_table(_HEAD, map(_row, FIELDS)),
        labels="; ".join(_labels()),
        added=f"{', '.join(others)} and {last}",
        covered=", ".join(f"`{path}`" for field in FIELDS for path in field.covers),
        most=MAX_FIELDS,
        deepest=MAX_DEPTH,
        attributes=_table(
            ("source field", "target field"),
            ((f"`{line['source']}`", f"`{line['destination']}`") for line in simple),
        ),
        expressions="\n".join(_calculated(line) for line in lines if line not in simple).rstrip(),
    )


def _row(field: Field) -> tuple[str, ...]:
    xdm = field.xdm.format(tenant=f"_{_TENANT}")
    only = ", ".join(f"`{one}`" for one in field.only)
    description = field_texts().get(field.xdm, NO_TEXT).description
    return f"`{field.source}`", f"`{xdm}`", field.type, field.title, description, only or "all"


def _labels() -> Iterator[str]:
    """Yields each data usage label, with its fields."""
    labelled = {path: text.label for path, text in field_texts().items() if text.label}
    for label in sorted(set(labelled.values())):
        paths = [f"`{path}`" for path, one in labelled.items() if one == label]
        yield f"{label} on {', '.join(paths).format(tenant=f'_{_TENANT}')}"


def _calculated(line: Mapping[str, Any]) -> str:
    return f"`{line['destination']}`\n```\n{line['source']}\n```\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    cells = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


if __name__ == "__main__":
    main()

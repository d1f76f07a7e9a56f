"""The one table that maps the fields of the normalised event to XDM, and its rows at work.

Everything that knows XDM is derived from it: what `deliver` sends (`format.py`), the tenant's field
group, the mapping set of the dataflow and the documentation (`provisioning/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import orjson

from pendo_aep.event import Event

FieldType = Literal["string", "integer", "number", "date-time", "json", "identity"]


@dataclass(frozen=True, slots=True)
class Field:
    """One row.

    Attributes:
        source: a path in the normalised event; `[]` stands for each element of an array.
        xdm: a path in the XDM entity; `{tenant}` is the tenant's own object (`_acme`), and
            `{namespace}` the identity namespace of visitors.
        type: the XDM type. `json` is text that holds JSON, as XDM has no type for what is open;
            `identity` is an entry of `identityMap`.
        title: what people see in AEP.
        only: prefixes of the event types that it is for; empty for all.
        added: the key that `raw` adds with the value for XDM, where a mapping set cannot compute it
            from the source; otherwise empty.
    """

    source: str
    xdm: str
    type: FieldType
    title: str
    only: tuple[str, ...] = ()
    added: str = ""

    @property
    def raw(self) -> str:
        """The path in what `raw` sends."""
        return self.added or self.source


def own_object(tenant_id: str) -> str:
    """Returns the key of the tenant's object in XDM: the id, with one underscore before it."""
    return "_" + tenant_id.removeprefix("_")


_SURVEYS = ("poll.", "nps.")

FIELDS: tuple[Field, ...] = (
    # Adobe: XDM ExperienceEvent class, what every event has.
    Field("id", "_id", "string", "Event ID"),
    Field("occurredAt", "timestamp", "date-time", "Occurred at"),
    Field("type", "eventType", "string", "Event type"),
    Field("visitorId", "identityMap.{namespace}", "identity", "Visitor"),
    # The tenant's own object: every field that has no home in the class or in a group of Adobe's.
    Field("pendoEvent", "{tenant}.pendo.event", "string", "Pendo event"),
    Field("receivedAt", "{tenant}.pendo.receivedAt", "date-time", "Received at"),
    Field("visitorId", "{tenant}.pendo.visitorId", "string", "Visitor ID"),
    Field("accountId", "{tenant}.pendo.accountId", "string", "Account ID"),
    Field("app.id", "{tenant}.pendo.app.id", "string", "App ID"),
    Field("app.name", "{tenant}.pendo.app.name", "string", "App name"),
    Field("app.platform", "{tenant}.pendo.app.platform", "string", "App platform"),
    Field("subscription.id", "{tenant}.pendo.subscription.id", "string", "Subscription ID"),
    Field("subscription.name", "{tenant}.pendo.subscription.name", "string", "Subscription name"),
    Field("guide.id", "{tenant}.pendo.guide.id", "string", "Guide ID"),
    Field("guide.name", "{tenant}.pendo.guide.name", "string", "Guide name"),
    Field("guide.stepId", "{tenant}.pendo.guide.stepId", "string", "Guide step ID"),
    Field("guide.language", "{tenant}.pendo.guide.language", "string", "Guide language"),
    Field("nps.rating", "{tenant}.pendo.nps.rating", "number", "NPS rating"),
    Field("nps.reason", "{tenant}.pendo.nps.reason", "string", "NPS comment"),
    Field("nps.source", "{tenant}.pendo.nps.source", "string", "NPS source"),
    Field("track.name", "{tenant}.pendo.track.name", "string", "Track event name"),
    Field("track.source", "{tenant}.pendo.track.source", "string", "Track event source"),
    Field("answers[].pollId", "{tenant}.pendo.answers[].pollId", "string", "Poll ID"),
    Field("answers[].value", "{tenant}.pendo.answers[].value", "string", "Poll answer"),
    Field("answers[].question", "{tenant}.pendo.answers[].question", "string", "Poll question"),
    Field("answers[].text", "{tenant}.pendo.answers[].text", "string", "Poll answer in words"),
    Field("answers[].type", "{tenant}.pendo.answers[].type", "string", "Poll type"),
    Field(
        "properties",
        "{tenant}.pendo.properties",
        "json",
        "Properties, as Pendo sent them",
        added="propertiesJson",  # Adobe: Data Prep reads JSON text, and has no function to write it
    ),
    Field("schemaVersion", "{tenant}.pendo.schemaVersion", "integer", "Version of this shape"),
    # Adobe's own field groups: Survey Response, Application and Environment Details. The fields of
    # `browserDetails` are those of Adobe's "Browser Details" data type.
    Field("guide.id", "surveyResponse.surveyID", "string", "Survey ID", only=_SURVEYS),
    Field(
        "answers[].pollId",
        "surveyResponse.surveyQuestions[]",
        "string",
        "Survey questions",
        added="surveyQuestions",  # Adobe does not say what `[*]` makes of an element without it
    ),
    Field(
        "answers[].value",
        "surveyResponse.surveyAnswers[]",
        "string",
        "Survey answers",
        added="surveyAnswers",
    ),
    Field("app.id", "application.id", "string", "Application ID"),
    Field("app.name", "application.name", "string", "Application name"),
    Field("browser.name", "environment.browserDetails.name", "string", "Browser"),
    Field("browser.version", "environment.browserDetails.version", "string", "Browser version"),
    Field("userAgent", "environment.browserDetails.userAgent", "string", "User agent"),
    Field("guide.language", "environment.browserDetails.acceptLanguage", "string", "Language"),
)


Json: TypeAlias = dict[str, Any]

# Adobe: "IdentityMap"; Pendo does not say whether a visitor was logged in.
AUTHENTICATED_STATE: Final = "ambiguous"
# Adobe: "Identity Service guardrails"; a record with a longer identity value is skipped.
MAX_IDENTITY_CHARACTERS: Final = 1024
_LEAVES: Final = frozenset({str, int, float, bool})


def is_too_long(identity: object) -> bool:
    """Returns whether AEP would skip a record with this identity; it is sent as a field only."""
    return isinstance(identity, str) and len(identity) > MAX_IDENTITY_CHARACTERS


def has_empty(value: Mapping[str, Any] | list[Any]) -> bool:
    """Returns whether it holds an empty value at any depth; half the cost of `without_empty`."""
    for inner in value if isinstance(value, list) else value.values():
        if not inner:
            if inner != 0:  # 0 and false are values
                return True
        elif type(inner) not in _LEAVES and has_empty(inner):
            return True
    return False


def without_empty(value: Any) -> Any:
    """Returns a JSON value without empty values at any depth; None if nothing is left.

    Adobe: "Schema composition", null and empty values are not accepted for any ingested field.
    """
    if isinstance(value, dict):
        value = {
            key: left
            for key, inner in value.items()
            # Most are text or numbers, and need no call.
            if (left := inner if inner and type(inner) in _LEAVES else without_empty(inner))
            is not None
        }
    elif isinstance(value, list):
        value = [left for inner in value if (left := without_empty(inner)) is not None]
    return value if value or value == 0 else None


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the mapping table, with its paths split once."""

    source: tuple[str, ...]
    source_leaf: str | None  # of each element, where the source is an array
    xdm: tuple[str, ...]
    xdm_leaf: str | None
    siblings: tuple[str, ...]  # the leaves that share the elements in XDM
    place: int  # of its own leaf among them
    field: Field

    @classmethod
    def of(cls, field: Field, tenant: str = "", namespace: str = "") -> Row:
        """Returns the row of a field; reading values needs neither tenant nor namespace."""
        source, _, source_leaf = field.source.partition("[].")
        place = field.xdm.format(tenant=tenant, namespace=namespace)
        xdm, _, xdm_leaf = place.partition("[]")
        siblings = _siblings(field)
        return cls(
            tuple(source.split(".")),
            source_leaf or None,
            tuple(xdm.split(".")),
            xdm_leaf.removeprefix(".") or None,
            siblings,
            siblings.index(source_leaf) if siblings else 0,
            field,
        )

    def value(self, event: Event) -> Any:
        """Returns the value of an event for XDM; None if it is absent or empty."""
        if self.field.only and not event["type"].startswith(self.field.only):
            return None
        value: Any = event
        for key in self.source:
            value = value.get(key) if isinstance(value, dict) else None
        if value is None or value == "":
            return None
        if self.source_leaf is not None:
            return self._elements(value)
        if self.field.type == "json":
            return orjson.dumps(value).decode() if value else None
        if self.field.type == "identity":
            if is_too_long(value):
                return None
            # The visitor id is the only identity.
            return [{"id": value, "primary": True, "authenticatedState": AUTHENTICATED_STATE}]
        return without_empty(value) if isinstance(value, dict | list) else value

    def _elements(self, value: object) -> list[Any] | None:
        """Returns one leaf of each element, None where it is empty.

        Parallel arrays (questions and answers) get an element only if each of them has one, so
        that they stay aligned. Objects need one leaf that is not empty.
        """
        fewest = len(self.siblings) if self.xdm_leaf is None else 1
        leaves: list[Any] = []
        for element in value if isinstance(value, list) else ():
            if isinstance(element, dict):
                found = [without_empty(element.get(leaf)) for leaf in self.siblings]
                if len(found) - found.count(None) >= fewest:
                    leaves.append(found[self.place])
        return leaves or None

    def write(self, entity: Json, value: Any) -> None:
        """Writes the value to the row's path; the leaves of one array share its objects."""
        *way, last = self.xdm
        for key in way:
            entity = entity.setdefault(key, {})
        if self.xdm_leaf is None:
            entity[last] = value
            return
        for place, leaf in zip(entity.setdefault(last, [{} for _ in value]), value, strict=True):
            if leaf is not None:
                place[self.xdm_leaf] = leaf


def _siblings(field: Field) -> tuple[str, ...]:
    """Returns the leaves of the same array: in one object, or in parallel arrays."""
    array, _, leaf = field.source.partition("[].")
    if not leaf:
        return ()
    is_side_by_side = field.xdm.endswith("[]")
    return tuple(
        other.source.partition("[].")[2]
        for other in FIELDS
        if other.source.startswith(f"{array}[].") and other.xdm.endswith("[]") is is_side_by_side
    )

"""The one table that maps the fields of the normalised event to XDM, and its rows at work.

Everything that knows XDM is derived from it: what `deliver` sends (`format.py`), the tenant's field
group, the mapping set of the dataflow and the documentation (`provisioning/`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import orjson

from pendo_aep.aep.typed_values import TypedProperties, convert
from pendo_aep.chosen_fields import ChosenField
from pendo_aep.event import Event
from pendo_aep.settings import (
    ANONYMOUS_NAMESPACE,
    AnonymousVisitors,
    DeliverSettings,
    KeptProperties,
    PlatformSettings,
)

Json: TypeAlias = dict[str, Any]
FieldType = Literal[
    "string",
    "integer",
    "long",
    "number",
    "boolean",
    "date-time",
    "json",
    "identity",
    "question",
    "answer",
]


@dataclass(frozen=True, slots=True)
class Field:
    """One row.

    Attributes:
        source: a path in the normalised event; `[]` stands for each element of an array.
        xdm: a path in the XDM entity; `{tenant}` is the tenant's own object (`_acme`).
        type: the XDM type. `json` is text that holds JSON, as XDM has no type for what is open;
            `identity` is an `identityMap`; `question` and `answer` are the texts of a survey, in
            parallel arrays (`survey_pairs`). Adobe's `long` is an integer of up to 2**53 - 1.
        title: what people see in AEP.
        only: the event types that it is for; empty for all.
        added: the key that `raw` adds with the value for XDM, where a mapping set cannot compute it
            from the source; otherwise empty.
        prefix: text before the value.
        covers: the paths in Pendo's `properties` that the value comes from.
        chosen: the entry of `AEP_FIELDS` that it comes from; None for a row of this table.
    """

    source: str
    xdm: str
    type: FieldType
    title: str
    only: tuple[str, ...] = ()
    added: str = ""
    prefix: str = ""
    covers: tuple[str, ...] = ()
    chosen: ChosenField | None = None

    @property
    def raw(self) -> str:
        """The path in what `raw` sends."""
        return self.added or self.source


def own_object(tenant_id: str) -> str:
    """Returns the key of the tenant's object in XDM: the id, with one underscore before it."""
    return "_" + tenant_id.removeprefix("_")


# Adobe: the XDM repository (adobe/xdm), `surveyResponse` is the response to a survey. So a survey
# that was only displayed has none.
_SURVEYS = ("poll.submitted", "nps.submitted")

FIELDS: tuple[Field, ...] = (
    # Adobe: XDM ExperienceEvent class, what every event has.
    Field("id", "_id", "string", "Event ID"),
    Field("occurredAt", "timestamp", "date-time", "Occurred at"),
    # With a prefix, as `eventType` is shared with every other source of the tenant's.
    Field("pendoEvent", "eventType", "string", "Event type", prefix="pendo."),
    Field("visitorId", "identityMap", "identity", "Visitor"),
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
    Field(
        "guide.id",
        "{tenant}.pendo.guide.id",
        "string",
        "Guide ID",
        covers=("guideId", "guideProperties.id"),
    ),
    Field(
        "guide.name",
        "{tenant}.pendo.guide.name",
        "string",
        "Guide name",
        covers=("guideProperties.name",),
    ),
    Field(
        "guide.stepId",
        "{tenant}.pendo.guide.stepId",
        "string",
        "Guide step ID",
        covers=("guideStepId",),
    ),
    Field(
        "guide.language",
        "{tenant}.pendo.guide.language",
        "string",
        "Guide language",
        covers=("language",),
    ),
    Field(
        "nps.rating",
        "{tenant}.pendo.nps.rating",
        "number",
        "NPS rating",
        covers=("nps.rating",),
    ),
    Field("nps.category", "{tenant}.pendo.nps.category", "string", "NPS category"),
    Field(
        "nps.reason",
        "{tenant}.pendo.nps.reason",
        "string",
        "NPS comment",
        covers=("nps.reason",),
    ),
    Field(
        "nps.source",
        "{tenant}.pendo.nps.source",
        "string",
        "NPS source",
        covers=("nps.source",),
    ),
    Field(
        "track.name",
        "{tenant}.pendo.track.name",
        "string",
        "Track event name",
        covers=("name",),
    ),
    Field(
        "track.source",
        "{tenant}.pendo.track.source",
        "string",
        "Track event source",
        covers=("source",),
    ),
    Field("answers[].pollId", "{tenant}.pendo.answers[].pollId", "string", "Poll ID"),
    Field("answers[].value", "{tenant}.pendo.answers[].value", "string", "Poll answer"),
    Field(
        "answers[].number",
        "{tenant}.pendo.answers[].number",
        "number",
        "Poll answer as a number",
    ),
    Field("answers[].question", "{tenant}.pendo.answers[].question", "string", "Poll question"),
    Field("answers[].text", "{tenant}.pendo.answers[].text", "string", "Poll answer in words"),
    Field("answers[].type", "{tenant}.pendo.answers[].type", "string", "Poll type"),
    Field(
        "properties",
        "{tenant}.pendo.properties",
        "json",
        "Properties, as JSON",
        added="propertiesJson",  # Adobe: Data Prep reads JSON text, and has no function to write it
    ),
    Field("schemaVersion", "{tenant}.pendo.schemaVersion", "integer", "Version of this shape"),
    # Adobe's own field groups: Survey Response, Application and Environment Details. The fields of
    # `browserDetails` are those of Adobe's "Browser Details" data type.
    Field("guide.id", "surveyResponse.surveyID", "string", "Survey ID", only=_SURVEYS),
    Field(
        "answers[].pollId",
        "surveyResponse.surveyQuestions[]",
        "question",
        "Survey questions",
        only=_SURVEYS,
        added="surveyQuestions",  # Adobe does not say what `[*]` makes of an element without it
    ),
    Field(
        "answers[].value",
        "surveyResponse.surveyAnswers[]",
        "answer",
        "Survey answers",
        only=_SURVEYS,
        added="surveyAnswers",
    ),
    Field("app.id", "application.id", "string", "Application ID"),
    Field("app.name", "application.name", "string", "Application name"),
    Field(
        "browser.name",
        "environment.browserDetails.name",
        "string",
        "Browser",
        covers=("browserName",),
    ),
    Field(
        "browser.version",
        "environment.browserDetails.version",
        "string",
        "Browser version",
        covers=("browserVersion",),
    ),
    Field("userAgent", "environment.browserDetails.userAgent", "string", "User agent"),
    Field("guide.language", "environment.browserDetails.acceptLanguage", "string", "Language"),
)

CHOSEN: Final = "fields"
"""The key that `raw` adds with the values of the fields that the customer has chosen."""


def _chosen_row(field: ChosenField) -> Field:
    place = ".".join(field.place)
    return Field(
        field.name,
        f"{{tenant}}.pendo.{place}",
        "long" if field.type == "integer" else field.type,
        ".".join(field.path),
        added=f"{CHOSEN}.{place}",
        covers=(".".join(field.path),),
        chosen=field,
    )


# Adobe: "IdentityMap"; Pendo does not say whether a visitor was logged in.
AUTHENTICATED_STATE: Final = "ambiguous"
# Adobe: "Identity Service guardrails"; a record with a longer identity value is skipped.
MAX_IDENTITY_CHARACTERS: Final = 1024
# Pendo: "Anonymous visitors", the id of a visitor that the application has not named.
ANONYMOUS_PREFIX: Final = "_PENDO_T_"
# What is certainly an e-mail address, rather than all that may be one. It means the same in Java's
# regular expressions: ASCII, no look-around, no backslash. No anonymous id begins like one.
EMAIL_PATTERN: Final = (
    "[A-Za-z0-9][A-Za-z0-9._%+'-]{0,63}@([A-Za-z0-9-]{1,63}[.]){1,8}[A-Za-z]{2,63}"
)
_EMAIL: Final = re.compile(EMAIL_PATTERN, re.ASCII)
_LEAVES: Final = frozenset({str, int, float, bool})
_MADE: Final = frozenset({"json", "identity", "question", "answer"})
_TEXT_OR_NUMBER: Final = frozenset({str, int, float})


@dataclass(frozen=True, slots=True)
class MappingOptions:
    """The settings that the mapping depends on. `deliver` and the set-up must have the same ones.

    Attributes:
        identity_namespace: the code of the namespace of visitors.
        anonymous_visitors: whether Pendo's anonymous visitors have a namespace of their own, that
            of all visitors, or no identity.
        email_namespace: the code of the namespace that visitor ids which are e-mail addresses go
            to as well; empty for none.
        properties: what is kept of Pendo's `properties` as text.
        chosen: the properties that are typed fields of their own.
    """

    identity_namespace: str = "PendoVisitor"
    anonymous_visitors: AnonymousVisitors = "separate"
    email_namespace: str = ""
    properties: KeptProperties = "rest"
    chosen: tuple[ChosenField, ...] = ()

    @classmethod
    def of(cls, settings: DeliverSettings | PlatformSettings) -> MappingOptions:
        """Returns those of a function or of the set-up."""
        return cls(
            settings.aep_identity_namespace,
            settings.aep_anonymous_visitors,
            settings.aep_email_namespace,
            settings.aep_properties,
            settings.aep_fields,
        )

    @property
    def fields(self) -> tuple[Field, ...]:
        """The mapping table, with a row for each chosen property."""
        return (*FIELDS, *map(_chosen_row, self.chosen))

    @property
    def typed(self) -> TypedProperties | None:
        """The chosen properties; None if there are none, so that they cost nothing."""
        return TypedProperties(self.chosen) if self.chosen else None

    def identity_map(self, visitor_id: object) -> Json | None:
        """Returns the identities of a visitor; None if there are none.

        The visitor id is the primary one: an address may be shared, by a team or a family.
        """
        if not isinstance(visitor_id, str):  # not written by `receive`: leave it to AEP
            return {self.identity_namespace: [_identity(visitor_id, is_primary=True)]}
        if is_too_long(visitor_id):
            return None
        namespace = self.identity_namespace
        if self.anonymous_visitors != "same" and visitor_id.startswith(ANONYMOUS_PREFIX):
            if self.anonymous_visitors == "none":
                return None
            namespace = ANONYMOUS_NAMESPACE
        found: Json = {namespace: [_identity(visitor_id, is_primary=True)]}
        if self.email_namespace and _EMAIL.fullmatch(visitor_id):
            found[self.email_namespace] = [_identity(visitor_id.lower(), is_primary=False)]
        return found


DEFAULT_OPTIONS: Final = MappingOptions()


def _identity(value: object, *, is_primary: bool) -> Json:
    return {"id": value, "primary": is_primary, "authenticatedState": AUTHENTICATED_STATE}


def is_too_long(identity: object) -> bool:
    """Returns whether AEP would skip a record with this identity; it is sent as a field only."""
    return isinstance(identity, str) and len(identity) > MAX_IDENTITY_CHARACTERS


def survey_pairs(event: Event) -> list[tuple[str, str]]:
    """Returns the questions of a survey and their answers: of NPS, and of polls by their ids.

    A question without an answer has no pair, nor has an answer whose poll is not known, so that
    the two arrays in XDM stay aligned.
    """
    pairs: list[tuple[Any, Any]] = []
    if isinstance(nps := event.get("nps"), dict):
        rating = nps.get("rating")
        pairs += [
            ("rating", None if rating is None else str(rating)),
            ("reason", nps.get("reason")),
        ]
    answers = event.get("answers")
    pairs += [
        (answer.get("pollId"), answer.get("value"))
        for answer in (answers if isinstance(answers, list) else ())
        if isinstance(answer, dict)
    ]
    return [(question, answer) for question, answer in pairs if question and answer]


_Covered: TypeAlias = "dict[str, tuple[str, str] | _Covered]"
"""For each key of an object, the object and key in the event that have its value."""


class StoredProperties:
    """What AEP stores of Pendo's `properties`, as text: all, nothing, or what has no field."""

    def __init__(self, options: MappingOptions = DEFAULT_OPTIONS) -> None:
        """Takes what to keep."""
        self._kept = options.properties
        self._typed = options.typed
        self._covered: _Covered = {}
        for field in FIELDS:
            holder, _, key = field.source.partition(".")
            for path in field.covers:
                *way, last = path.split(".")
                inner: Any = self._covered
                for name in way:
                    inner = inner.setdefault(name, {})
                inner[last] = holder, key

    def of(self, event: Event) -> Any:
        """Returns what is kept of an event's properties, which stay as they are."""
        properties: Any = event.get("properties")
        if self._kept == "none":
            return None
        if self._kept == "all" or not isinstance(properties, dict):
            return properties
        left = _uncovered(properties, self._covered, event)
        return self._typed.without(left) if self._typed else left


def _uncovered(properties: Json, covered: _Covered, event: Mapping[str, Any]) -> Json:
    """Returns the object without what has a field; copies only objects that lose something."""
    left = properties
    for name, place in covered.items():
        found = properties.get(name)
        if found is None:
            continue
        kept: Json = {}
        if isinstance(place, tuple):
            holder, key = place
            values = event.get(holder)
            if type(found) not in _TEXT_OR_NUMBER or not isinstance(values, dict):
                continue
            # Dropped only if the field has the same value, as text or as a number.
            value = values.get(key)
            if value is None or (found != value and str(found) != str(value)):
                continue
        elif isinstance(found, dict):
            kept = _uncovered(found, place, event)
            if kept is found:
                continue
        else:
            continue
        if left is properties:
            left = properties.copy()
        if kept:
            left[name] = kept
        else:
            del left[name]
    return left


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
    is_plain: bool  # the value is that of the event
    field: Field
    options: MappingOptions
    properties: StoredProperties

    @classmethod
    def of(
        cls,
        field: Field,
        tenant: str = "",
        options: MappingOptions = DEFAULT_OPTIONS,
        properties: StoredProperties | None = None,
    ) -> Row:
        """Returns the row of a field; reading values does not need the tenant."""
        source, _, source_leaf = field.source.partition("[].")
        xdm, _, xdm_leaf = field.xdm.format(tenant=tenant).partition("[]")
        siblings = _siblings(field, options.fields)
        return cls(
            tuple(source.split(".")),
            source_leaf or None,
            tuple(xdm.split(".")),
            xdm_leaf.removeprefix(".") or None,
            siblings,
            siblings.index(source_leaf) if siblings else 0,
            field.type not in _MADE
            and not (source_leaf or field.only or field.prefix or field.chosen),
            field,
            options,
            properties or StoredProperties(options),
        )

    def value(self, event: Event) -> Any:
        """Returns the value of an event for XDM; None if it is absent or empty."""
        field = self.field
        if field.only and event["type"] not in field.only:
            return None
        if field.type == "question":
            return [question for question, _ in survey_pairs(event)] or None
        if field.type == "answer":
            return [answer for _, answer in survey_pairs(event)] or None
        value: Any = event
        for key in self.source:
            value = value.get(key) if isinstance(value, dict) else None
        if value is None or value == "":
            return None
        if self.is_plain:
            return value if type(value) in _LEAVES else without_empty(value)
        return self._made(event, value)

    def _made(self, event: Event, value: Any) -> Any:
        """Returns what is made of a value that is there."""
        if self.field.chosen is not None:
            return convert(value, self.field.chosen.type)
        if self.source_leaf is not None:
            return self._elements(value)
        if self.field.type == "json":
            kept = self.properties.of(event)
            return orjson.dumps(kept).decode() if kept else None
        if self.field.type == "identity":
            return self.options.identity_map(value)
        return f"{self.field.prefix}{value}" if self.field.prefix else without_empty(value)

    def _elements(self, value: object) -> list[Any] | None:
        """Returns one leaf of each element, None where it is empty.

        An element needs one leaf that is not empty.
        """
        leaves: list[Any] = []
        for element in value if isinstance(value, list) else ():
            if isinstance(element, dict):
                found = [without_empty(element.get(leaf)) for leaf in self.siblings]
                if found.count(None) < len(found):
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


def rows_of(options: MappingOptions, tenant: str = "") -> tuple[Row, ...]:
    """Returns the rows of the table, for a tenant's object."""
    properties = StoredProperties(options)
    return tuple(Row.of(field, tenant, options, properties) for field in options.fields)


def _siblings(field: Field, fields: tuple[Field, ...]) -> tuple[str, ...]:
    """Returns the leaves of the same objects in an array."""
    array, _, leaf = field.source.partition("[].")
    if not leaf or field.xdm.endswith("[]"):
        return ()
    return tuple(
        other.source.partition("[].")[2]
        for other in fields
        if other.source.startswith(f"{array}[].") and not other.xdm.endswith("[]")
    )

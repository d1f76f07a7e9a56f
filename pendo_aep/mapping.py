"""The one table that says where each field of the normalised event stands in XDM.

Everything that knows XDM comes from it: what `deliver` sends (`xdm.py`); and in `platform/`, the
tenant's field group, the mapping set of a dataflow and the documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
        only: types of events it holds for, by their beginning; empty for all.
        added: the key that `raw` adds with the very value for XDM, where a mapping set could not
            make it of the source; empty where it can.
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
    """The key of the tenant's own object in XDM: its id after one underscore, however given."""
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

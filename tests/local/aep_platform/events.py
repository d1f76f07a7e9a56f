"""A raw event, and the XDM that the mapping set of `bodies.json` makes of it."""

from __future__ import annotations

from typing import Any

EVENT: dict[str, Any] = {
    "id": "e-1",
    "type": "poll.submitted",
    "occurredAt": "2024-05-06T07:08:09.123Z",
    "visitorId": "v-1",
    "guide": {"id": "g-1", "name": "Welcome"},
    "answers": [{"pollId": "p-1", "value": "yes"}, {"pollId": "p-2", "value": "no"}],
}
ROW: dict[str, Any] = {
    "_id": "e-1",
    "timestamp": "2024-05-06T07:08:09.123Z",
    "eventType": "poll.submitted",
    "producedBy": "pendo",
    "identityMap": {
        "PendoVisitor": [{"id": "v-1", "primary": True, "authenticatedState": "ambiguous"}]
    },
    "surveyResponse": {"surveyID": "g-1", "surveyQuestions": ["p-1", "p-2"]},
    "_acme": {
        "pendo": {
            "visitorId": "v-1",
            "guideName": "Welcome",
            "answers": [{"pollId": "p-1", "value": "yes"}, {"pollId": "p-2", "value": "no"}],
        }
    },
}

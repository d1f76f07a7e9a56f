"""Recognises that AEP refuses events because a setting is wrong, not because of the events.

Two signs tell: a text of AEP's about a setting, and a run of refusals with nothing accepted in
between. Without this, one wrong setting would turn every event into a dead letter. Adobe publishes
no list of the streaming endpoint's messages, so each text below names its source.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from pendo_aep.logs import log
from pendo_aep.outcome import CONFIGURATION, DELIVERED, Outcome, Rejected, Retry, RetryReason

ALARM: Final = "AEP configuration error: {advice}"
"""What the functions log about a wrong setting; an alert policy relies on it."""
_EVERYTHING: Final = (
    "AEP refuses every event; check AEP_FORMAT, AEP_RAW_MODE, AEP_FLOW_ID, and that the schema "
    "requires no field that events do not have"
)
_ADDRESS: Final = "check AEP_ENDPOINT, AEP_FLOW_ID and AEP_SANDBOX"
_WORD: Final = re.compile(r"\w[\w@.+%/-]+\w")
_MAX_CHARACTERS: Final = 300
# More refusals in a row than bad events explain.
_REFUSALS_IN_A_ROW: Final = 20
# A burst of bad events ends sooner; with nothing accepted for so long, a setting is wrong.
_SECONDS_WITHOUT_ACCEPTANCE: Final = 60.0
# As long as one request may take, so that two probes never overlap.
_SECONDS_BETWEEN_PROBES: Final = 10.0
_BY_STATUS: Final = {
    401: "check AEP_CLIENT_ID, AEP_CLIENT_SECRET and AEP_SCOPES; is the inlet authenticated?",
    403: "check the credential's rights in AEP, and its list of allowed addresses",
}


@dataclass(frozen=True, slots=True)
class ConfigurationError:
    """A text of AEP's that is about a setting, whichever message it comes with.

    Attributes:
        text: matches it, ignoring case.
        advice: the settings to check.
        source: where the text was seen, or "assumed".
    """

    text: re.Pattern[str]
    advice: str
    source: str


def _unknown(thing: str) -> re.Pattern[str]:
    """Matches `Schema https://... not found`, `the flow is disabled`, `unknown inlet` and so on.

    Only a name or an ID may stand between the two words: "not valid against schema X: required key
    [Y] not found" is about an event.
    """
    state = r"not found|could not be found|does ?n[o']t exist|unknown|disabled|inactive|deleted"
    name = r"(?: id| ref| with id)?(?: \S*[^\s:])?"
    return re.compile(
        rf"\b{thing}{name}(?: is| was| has been)? (?:{state})\b"
        rf"|\b(?:unknown|disabled|inactive|no such) {thing}\b",
        re.IGNORECASE,
    )


WITHOUT_HEADER: Final = (
    "this inlet does not take events without a header; check AEP_RAW_MODE and AEP_FORMAT"
)
_NO_HEADER: Final = re.compile(r"'header' field is mandatory", re.IGNORECASE)
_HEADER_LACKS: Final = re.compile(r"'header\.[\w.]+' field is mandatory", re.IGNORECASE)
CONFIGURATION_ERRORS: Final = (
    ConfigurationError(
        _NO_HEADER,
        WITHOUT_HEADER,
        "a log of 2024 from the batch endpoint, raw events sent to an inlet for XDM",
    ),
    ConfigurationError(
        _HEADER_LACKS,
        "check AEP_RAW_MODE, AEP_SCHEMA_ID, AEP_DATASET_ID, AEP_IMS_ORG_ID and AEP_FLOW_ID",
        "assumed, from the text above and the fields that the OpenAPI file requires",
    ),
    ConfigurationError(_unknown("schema(?:ref)?"), "check AEP_SCHEMA_ID", "assumed"),
    ConfigurationError(_unknown("data ?set(?:id)?"), "check AEP_DATASET_ID", "assumed"),
    ConfigurationError(_unknown("(?:data)?flow(?:id)?"), "check AEP_FLOW_ID", "assumed"),
    ConfigurationError(_unknown("inlet(?:id)?"), "check AEP_ENDPOINT", "assumed"),
    ConfigurationError(_unknown("sandbox"), "check AEP_SANDBOX", "assumed"),
)


def is_configuration_error(said: str) -> bool:
    """Returns whether AEP's text is about a setting, so that the event may be valid."""
    return any(error.text.search(said) for error in CONFIGURATION_ERRORS)


def wants_header(said: str) -> bool:
    """Returns whether AEP refuses a message because its header, or part of it, is missing."""
    return bool(_NO_HEADER.search(said) or _HEADER_LACKS.search(said))


def advice(status: int, said: str) -> str:
    """Returns what to check, by the status of a request and AEP's text."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    for error in CONFIGURATION_ERRORS:
        if error.text.search(said):
            return error.advice
    return _EVERYTHING if status in {400, 413, 422} or 200 <= status < 300 else _ADDRESS


def without_values(said: str, message: bytes) -> str:
    """Masks the words of AEP's text that occur in a value of the message; 300 characters at most.

    AEP may quote the event, and a log line must not hold personal data.
    """
    return mask_values(said, orjson.loads(message))[:_MAX_CHARACTERS]


def mask_values(said: str, event: Any) -> str:
    """Returns AEP's text with every word masked that occurs in a value of the event."""
    values = "\n".join(_values(event)).casefold()
    return _WORD.sub(lambda word: "..." if word[0].casefold() in values else word[0], said)


def _values(value: Any) -> Iterator[str]:
    """Yields every text and number in the event; an XDM header holds only our settings."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [inner for key, inner in value.items() if key not in {"header", "xdmMeta"}]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str | int | float):
            yield str(value)


class ConfigurationGuard:
    """Closes after 20 refusals in a row with nothing accepted for a minute.

    While it is closed, one message is sent as a probe every ten seconds, and all others go back to
    Pub/Sub. The first message that AEP accepts opens it.
    """

    def __init__(self) -> None:
        """Starts open, with nothing accepted yet."""
        self._refusals = 0
        self._names_a_setting = False
        self._accepted_at = -math.inf
        self._next_probe_at = 0.0

    @property
    def is_closed(self) -> bool:
        """Whether AEP is known to refuse everything."""
        return self._refusals >= _REFUSALS_IN_A_ROW and (
            self._names_a_setting or _now() - self._accepted_at >= _SECONDS_WITHOUT_ACCEPTANCE
        )

    @property
    def rejects_now(self) -> bool:
        """Whether no request would be admitted now; False when a probe is due."""
        return self.is_closed and _now() < self._next_probe_at

    def admits(self, count: int) -> bool:
        """Returns whether a request with so many messages may be sent; counts an admitted probe."""
        if not self.is_closed:
            return True
        if count > 1 or self.rejects_now:
            return False
        self._next_probe_at = _now() + _SECONDS_BETWEEN_PROBES
        return True

    def judge(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Returns the outcomes of one request; while AEP refuses everything, rejected is retry."""
        if DELIVERED in outcomes:
            if self.is_closed:
                log("WARNING", "AEP accepts events again")
            self._refusals, self._names_a_setting = 0, False
            self._accepted_at = _now()
            return list(outcomes)
        return [self._judge_refusal(outcome) for outcome in outcomes]

    def _judge_refusal(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Rejected):
            judged = Retry(RetryReason.CONFIGURATION, outcome.detail) if self.is_closed else outcome
            self._refusals += 1
            return judged
        if outcome == CONFIGURATION:
            self._refusals += 1
            self._names_a_setting = True
        return outcome


def _now() -> float:
    return asyncio.get_running_loop().time()

"""A stand-in of Adobe Experience Platform's streaming edge and of Adobe's token endpoint (IMS).

It follows Adobe's documentation. Where Adobe is silent or contradicts itself, the choice is a named
constant with the reason beside it, or a setting that tests can switch.
"""

from local.aep.event_log import (
    AcceptedMessage,
    AepEvent,
    Observer,
    ReceivedRequest,
    RefusedMessage,
    RequestRead,
    RequestStarted,
    TokenRequested,
)
from local.aep.faults import (
    Fault,
    answering,
    cut_after_accepting,
    cut_before_body,
    cut_mid_answer,
    fewer_responses,
    has_id,
    id_share,
    not_json,
    refusing,
    reordered,
    silent,
    statuses_as_text,
    throttled,
    token_endpoint_down,
)
from local.aep.messages import Behaviour, MessageFormat, RateLimit, RawMode, Shape
from local.aep.server import AepServer

__all__ = [
    "AcceptedMessage",
    "AepEvent",
    "AepServer",
    "Behaviour",
    "Fault",
    "MessageFormat",
    "Observer",
    "RateLimit",
    "RawMode",
    "ReceivedRequest",
    "RefusedMessage",
    "RequestRead",
    "RequestStarted",
    "Shape",
    "TokenRequested",
    "answering",
    "cut_after_accepting",
    "cut_before_body",
    "cut_mid_answer",
    "fewer_responses",
    "has_id",
    "id_share",
    "not_json",
    "refusing",
    "reordered",
    "silent",
    "statuses_as_text",
    "throttled",
    "token_endpoint_down",
]

"""What usually mends a failure, by the beginning of AEP's code. Codes are open text.

Adobe publishes no list. Sources: "Retrieving data ingestion error diagnostics" (INGEST), "Monitor
dataflows using the Flow Service API" (MAPPER, CONNECTOR), "Data Prep" (DPMAP), and for the
streaming validation (DCVS) what exports of failed batches hold that people have published.
"""

from __future__ import annotations

from typing import Final

_MAPPING: Final = (
    "the dataflow's mapping set does not fit these events: `pendo-aep aep plan --check` compares "
    "it with the events, and `pendo-aep aep apply` mends it; then replay the events"
)
_SCHEMA: Final = (
    "the schema asks for something that these events do not have, as after a change by hand: the "
    "message names the field; make it optional, or let `pendo-aep aep plan` show what differs"
)
ADVICE: Final = (
    (
        "INGEST-1211",
        "AEP keeps no reasons: switch error diagnostics on with `pendo-aep aep apply`; they hold "
        "for what comes after that",
    ),
    ("INGEST-1401", "the data cannot be read: report it with the batch's id to Adobe's support"),
    ("INGEST-1555", _SCHEMA),
    ("INGEST-1212", _SCHEMA),
    ("DCVS", _SCHEMA),
    ("MAPPER", _MAPPING),
    ("DPMAP", _MAPPING),
    ("IDENTITY", "AEP does not take an identity: check AEP_IDENTITY_NAMESPACE with `aep plan`"),
    ("CONNECTOR", "the source failed: see the dataflow's run in AEP, Sources > Dataflows"),
    ("", "see the batch in AEP, Monitoring; its id is what Adobe's support asks for"),
)


def advice_for(code: str) -> str:
    """Returns what usually mends failures with a code."""
    return next(advice for start, advice in ADVICE if code.upper().startswith(start))

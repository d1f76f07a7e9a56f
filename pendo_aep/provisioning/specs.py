"""Adobe's fixed ids of the sources that take streamed events, and of their dataflows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pendo_aep.provisioning.choices import DataFormat, Source


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """What a dataflow is made of.

    Attributes:
        connection: the connection specification of its source.
        flow: the flow specification.
        format: of the events that it takes.
        has_base: whether the source stands on a base connection, which then has the inlet.
    """

    connection: str
    flow: str
    format: DataFormat
    has_base: bool

    @property
    def maps(self) -> bool:
        """Whether a mapping set makes XDM of the events."""
        return self.format == "raw"


VERSION: Final = "1.0"
_HTTP: Final = "bc7b00d6-623a-4dfc-9fdb-f1240aeadaeb"
# Adobe: "Create a source connection and dataflow for Pendo", and "Create an HTTP API streaming
# connection", each using the Flow Service API.
SPECS: Final[dict[tuple[Source, DataFormat], FlowSpec]] = {
    ("pendo", "raw"): FlowSpec(
        "6ff5654f-19d5-427d-bd3e-c0ebc802389a",
        "e77fde5a-22a8-11ed-861d-0242ac120002",
        "raw",
        has_base=False,
    ),
    ("http", "raw"): FlowSpec(_HTTP, "c1a19761-d2c7-4702-b9fa-fe91f0613e81", "raw", has_base=True),
    ("http", "xdm"): FlowSpec(_HTTP, "d8a6f005-7eaf-4153-983e-e8574508b877", "xdm", has_base=True),
}


def spec_of_flow(flow_spec_id: str) -> FlowSpec | None:
    """The specification that a dataflow was made by; None for one that is not ours."""
    return next((spec for spec in SPECS.values() if spec.flow == flow_spec_id), None)

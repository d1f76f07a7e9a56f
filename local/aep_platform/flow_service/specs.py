"""The connection and flow specifications of a Pendo pipeline, by Adobe's fixed ids."""

from __future__ import annotations

from typing import Final

# Adobe, "Create a streaming connection for Pendo using the Flow Service API".
STREAMING_PROVIDER: Final = "521eee4d-8cbe-4906-bb48-fb6bd4450033"
PENDO: Final = "6ff5654f-19d5-427d-bd3e-c0ebc802389a"
PENDO_FLOW: Final = "e77fde5a-22a8-11ed-861d-0242ac120002"
# Adobe, "Create an HTTP API streaming connection".
HTTP: Final = "bc7b00d6-623a-4dfc-9fdb-f1240aeadaeb"
HTTP_RAW_FLOW: Final = "c1a19761-d2c7-4702-b9fa-fe91f0613e81"
HTTP_XDM_FLOW: Final = "d8a6f005-7eaf-4153-983e-e8574508b877"
DATA_LAKE: Final = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"

SOURCE_OF_FLOW: Final = {PENDO_FLOW: PENDO, HTTP_RAW_FLOW: HTTP, HTTP_XDM_FLOW: HTTP}
MAPPING_FLOWS: Final = frozenset({PENDO_FLOW, HTTP_RAW_FLOW})
VERSION: Final = "1.0"

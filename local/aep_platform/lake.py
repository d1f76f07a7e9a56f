"""The seam to the data lake: what AEP writes to it, how a client connects to it, who is told.

`PlatformServer(aep, lake=..., observer=...)`. Without a lake the rows are in the state only, and
Query Service answers that it cannot be reached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from local.aep_platform import errors
from local.aep_platform.call import Call, Permission, Route
from local.aep_platform.state import Json, Stage
from local.http_server import JsonResponse

BASE = "/data/foundation/query"


class Lake(Protocol):
    """Stores what AEP ingests, and answers queries on the protocol of PostgreSQL."""

    def write(self, table: str, schema: Json, rows: Sequence[Json]) -> None:
        """Appends rows to a table, which the first rows make; repeats are rows of their own.

        Args:
            table: the name in Query Service.
            schema: the resolved schema of the dataset.
            rows: XDM entities that are valid by the schema.
        """
        ...

    def connection_parameters(self) -> Json:
        """Returns what Query Service shows: `dbName`, `host`, `port`, `username`, `token`, ..."""
        ...


@dataclass(frozen=True, slots=True)
class RecordStored:
    """A record lies in the data lake.

    Attributes:
        id: of the event.
        batch: the id of its batch.
        at: in seconds since the epoch.
    """

    id: str
    batch: str
    at: float


@dataclass(frozen=True, slots=True)
class RecordFailed:
    """An accepted record will not be stored.

    Attributes:
        id: of the event; empty if the message has none.
        stage: where it failed.
        code: AEP's, whether or not the batch keeps it.
        message: AEP's own words, which may show a value of the record.
        batch: the id of its batch; empty where there is no dataset to have one.
        at: in seconds since the epoch.
    """

    id: str
    stage: Stage
    code: str
    message: str
    batch: str
    at: float


Observer: TypeAlias = Callable[[RecordStored | RecordFailed], None]


def routes(lake: Lake | None) -> tuple[Route, ...]:
    """The one operation of Query Service: how to connect to it (Adobe's OpenAPI of the service)."""

    def show(_: Call) -> JsonResponse:
        if lake is None:
            raise errors.service("query", 503, "this stand-in was started without a data lake")
        return JsonResponse(200, lake.connection_parameters())

    path = f"{BASE}/connection_parameters"
    return (Route("GET", path, show, Permission.MANAGE_QUERIES),)

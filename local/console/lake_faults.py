"""What goes wrong after AEP has accepted an event: faults of its schema, mapping and data lake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from local.aep_platform import PlatformServer
from local.dataflow import Dataflow

_ABSENT_FIELD: Final = "subscriptionTier"  # no event of Pendo's has it
_DESTINATION: Final = "timestamp"
# Of every event, and no time: so its mapping fails, and AEP requires what it maps to.
_NO_TIME: Final = "pendoEvent"


class LakeFaults:
    """The faults of one dataflow: some of AEP's own, some of whoever changes its set-up.

    Attributes:
        records: AEP's own.
    """

    def __init__(self, platform: PlatformServer, dataflow: Dataflow) -> None:
        """Takes the stand-in of AEP's APIs, and the dataflow that was made there."""
        self.records = platform.record_faults
        self._platform = platform
        self._dataflow = dataflow
        self._undo: list[Callable[[], None]] = []

    @property
    def maps(self) -> bool:
        """Whether the dataflow maps what it gets: XDM is not mapped."""
        return bool(self._flow.body.get("transformations"))

    def clear(self) -> None:
        """Ends every fault; what has failed or is late stays so."""
        self.records.clear()
        while self._undo:
            self._undo.pop()()

    def require_absent_field(self) -> None:
        """Lets the schema require a field that no event has."""
        state = self._platform.state
        schema = state.schemas[state.datasets[self._dataflow.dataset_id].schema_id]
        before, schema.body = schema.body, {**schema.body, "required": [_ABSENT_FIELD]}
        self._undo.append(lambda: setattr(schema, "body", before))

    def break_mapping(self) -> None:
        """Lets the mapping of the event's time take what is no time."""
        params = self._flow.body["transformations"][0]["params"]
        versions = self._platform.state.mapping_sets[params["mappingId"]].versions
        number = int(params["mappingVersion"])
        before = versions[number]
        versions[number] = {**before, "body": _with_wrong_time(before["body"])}
        self._undo.append(lambda: versions.__setitem__(number, before))

    @property
    def _flow(self) -> Any:
        return self._platform.state.flows[self._dataflow.flow_id]


def _with_wrong_time(body: Any) -> Any:
    """Returns a mapping set in which the destination has another source."""
    if isinstance(body, list):
        return [_with_wrong_time(one) for one in body]
    if not isinstance(body, dict):
        return body
    if body.get("destination") == _DESTINATION:
        return {**body, "source": _NO_TIME, "sourceType": "ATTRIBUTE"}
    return {key: _with_wrong_time(inner) for key, inner in body.items()}

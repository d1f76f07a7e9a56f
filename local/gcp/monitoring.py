"""Cloud Logging and Cloud Monitoring: log lines, metrics, dashboards, alerts and channels."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson

from local.gcp.api import (
    ApiError,
    Call,
    Propagation,
    Route,
    already_exists,
    collection,
    find,
    invalid,
    listed,
    not_found,
)
from local.gcp.state import GoogleState, Json
from local.http_server import JsonResponse

_LOGGING: Final = "logging/v2/projects/{project}"
_DEFAULT_SINK: Final = f"{_LOGGING}/sinks/_Default"
_LOG_FILTER: Final = re.compile(r'jsonPayload\.(\w+)="([^"]*)"')
_USER_METRIC: Final = re.compile(r'metric\.type="logging\.googleapis\.com/user/([\w./-]+)"')
# In seconds. Google: MetricAbsence.duration, and "metric-absence alerting policies".
_SHORTEST_ABSENCE: Final = 120.0
_LONGEST_ABSENCE: Final = 84_600.0
# What Google's JSON leaves out: zero, empty, and LabelDescriptor's first type.
_OMITTED: Final[tuple[Any, ...]] = (0, "", [], {}, False, "STRING")
# Each message's fields and enums, as in the clients that gcloud contains (SDK 528): a field is a
# type, which ends in [] for a list, or the values of an enum, in `each` for a list. gcloud sends on
# what it does not know.
_SHAPES: Final = Path(__file__).with_name("shapes.json")
_SCALARS: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "boolean": (bool,),
    "number": (int, float, str),  # 64-bit numbers are text in Google's JSON
    "map": (dict,),
}


class Monitoring:
    """What shows how the pipeline works."""

    def __init__(self, state: GoogleState, propagation: Propagation) -> None:
        """Takes the state, and how fast changes are noticed."""
        self._state = state
        self._propagation = propagation
        self._version = 0

    def routes(self) -> tuple[Route, ...]:
        """Returns the operations that gcloud uses."""
        state = self._state
        return (
            Route("POST", "logging/v2/entries:list", self._lines),
            Route("GET", _DEFAULT_SINK, lambda _: self._sink()),
            Route("PATCH", _DEFAULT_SINK, self._update_sink, changes=True),
            *collection(_LOGGING, "metrics", state.metrics),
            Route("POST", f"{_LOGGING}/metrics", self._create_metric, changes=True),
            Route("PUT", f"{_LOGGING}/metrics/{{name}}", self._update_metric, changes=True),
            *self._of("v1", "dashboards", state.dashboards, self._check_dashboard),
            *self._of("v3", "alertPolicies", state.alert_policies, self._check_policy),
            *self._of("v3", "notificationChannels", state.channels, _check_channel),
            Route("GET", "monitoring/v3/projects/{project}/timeSeries", self._series),
        )

    def _of(
        self, version: str, kind: str, kept: dict[str, Json], check_one: Callable[[Json], None]
    ) -> tuple[Route, ...]:
        """Returns the operations on a kind of resource whose names Google gives."""
        place = f"monitoring/{version}/projects/{{project}}"

        def keep(key: str, body: Json, name: str) -> JsonResponse:
            self._version += 1
            etag = {"etag": f"{self._version:032x}"} if kind == "dashboards" else {}
            kept[key] = {**body, "name": name, **etag}
            return JsonResponse(200, kept[key])

        def create(call: Call) -> JsonResponse:
            body = call.fields()
            check_one(body)
            key = str(self._version + 1)
            return keep(key, _as_shown(body), f"projects/{self._state.number}/{kind}/{key}")

        def update(call: Call) -> JsonResponse:
            old, body = find(kept, call), call.fields()
            check_one(body)
            if kind == "dashboards" and body.get("etag") != old["etag"]:
                raise ApiError(409, "The etag is not the one of the dashboard.")
            new = {**old, **_as_shown(body)} if "updateMask" in call.query else _as_shown(body)
            return keep(call.params["name"], new, old["name"])

        # Google: "Manage alerting policies by API", one call at a time that modifies any of them.
        lane = kind if kind == "alertPolicies" else ""
        return (
            *collection(place, kind, kept, lane=lane),
            Route("POST", f"{place}/{kind}", create, changes=True, lane=lane),
            Route("PATCH", f"{place}/{kind}/{{name}}", update, changes=True, lane=lane),
        )

    def _lines(self, call: Call) -> JsonResponse:
        """Returns log lines, newest first, the only order that gcloud asks for."""
        text = call.fields()["filter"]
        if (wanted := _LOG_FILTER.search(text)) is None:
            raise invalid(f"no lines by {text}")
        key, value = wanted.groups()
        found: list[Json] = [
            {"logName": f"projects/{self._state.project}/logs/run", "jsonPayload": line}
            for line in reversed(self._state.log)
            if line.get(key) == value
        ]
        return listed("entries", found)

    def _sink(self) -> JsonResponse:
        """Returns the sink that each project has (Google: "Route log entries")."""
        bucket = f"projects/{self._state.project}/locations/global/buckets/_Default"
        sink: Json = {"name": "_Default", "destination": f"logging.googleapis.com/{bucket}"}
        if exclusions := [*self._state.exclusions.values()]:
            sink["exclusions"] = exclusions
        return JsonResponse(200, sink)

    def _update_sink(self, call: Call) -> JsonResponse:
        """Replaces all exclusions (Google: ConfigServiceV2.UpdateSink, with its update mask)."""
        if call.query.get("updateMask") != "exclusions":
            raise invalid("updateMask: only exclusions can be changed here")
        found = call.fields().get("exclusions", [])
        for one in found:
            if not one.get("name") or not one.get("filter"):
                raise invalid("exclusions: name and filter are required")
        self._state.exclusions.clear()
        self._state.exclusions.update((one["name"], one) for one in found)
        return self._sink()

    def _create_metric(self, call: Call) -> JsonResponse:
        body = call.fields()
        if body["name"] in self._state.metrics:
            raise already_exists(body["name"])
        return self._keep_metric(body["name"], body)

    def _update_metric(self, call: Call) -> JsonResponse:
        find(self._state.metrics, call)
        return self._keep_metric(call.params["name"], call.fields())

    def _keep_metric(self, name: str, body: Json) -> JsonResponse:
        check_shape(body, "log_metric")
        if not body.get("filter"):
            raise invalid("filter: is required")
        if name not in self._state.metrics:
            self._propagation.begin(f"metric {name}")
        self._state.metrics[name] = {**_as_shown(body), "name": name}
        return JsonResponse(200, self._state.metrics[name])

    def _check_dashboard(self, body: Json) -> None:
        check_shape(body, "dashboard")
        # Google's takes any name. Ours does not, so that none is misspelt.
        for name in _metrics_of(body):
            if name not in self._state.metrics:
                raise _unknown_metric(name)

    def _check_policy(self, body: Json) -> None:
        check_shape(body, "alert_policy")
        if not body.get("conditions") or not body.get("combiner"):
            raise invalid("conditions and combiner are required")
        for condition in body["conditions"]:
            absence = condition.get("conditionAbsent", {}).get("duration", "120s")
            if not _SHORTEST_ABSENCE <= float(absence.removesuffix("s")) <= _LONGEST_ABSENCE:
                raise invalid("The duration of an absence must be from 2 minutes to 23.5 hours.")
        for name in _metrics_of(body):
            if name not in self._state.metrics:
                raise _unknown_metric(name)
            self._propagation.check(f"metric {name}", _unknown_metric(name))
        names = {one["name"] for one in self._state.channels.values()}
        if unknown := set(body.get("notificationChannels", ())) - names:
            raise not_found(unknown.pop())

    def _series(self, call: Call) -> JsonResponse:
        kind = 'metric.type="pubsub.googleapis.com/subscription/num_undelivered_messages"'
        if call.query["filter"] != kind:
            raise invalid(f"no series of {call.query['filter']}")
        found: list[Json] = [
            {
                "resource": {"labels": {"subscription_id": name}},
                "points": [{"value": {"int64Value": str(count)}}],
            }
            for name, count in self._state.backlog.items()
        ]
        return listed("timeSeries", found)


def _check_channel(body: Json) -> None:
    check_shape(body, "notification_channel")


def _metrics_of(body: Json) -> list[str]:
    """Returns the log-based metrics that a body refers to."""
    return _USER_METRIC.findall(orjson.dumps(body).decode().replace('\\"', '"'))


def _unknown_metric(name: str) -> ApiError:
    """Returns the text of public deployment logs, which a new metric gets as well."""
    return ApiError(
        404,
        f'Cannot find metric(s) that match type = "logging.googleapis.com/user/{name}". If a '
        "metric was created recently, it could take up to 10 minutes to become available. Please "
        "try again soon.",
    )


def _as_shown(body: Any) -> Any:
    if isinstance(body, dict):
        return {key: _as_shown(value) for key, value in body.items() if value not in _OMITTED}
    return [_as_shown(one) for one in body] if isinstance(body, list) else body


def check_shape(body: Json, shape: str) -> None:
    """Refuses a body that has an unknown key, a value of another type, or an unknown enum value.

    Args:
        body: as sent.
        shape: one of the `roots` of `shapes.json`.

    Raises:
        ApiError: says where.
    """
    shapes = _read_shapes()
    _check_value(body, shapes["roots"][shape], shapes["messages"], "")


@cache
def _read_shapes() -> Json:
    shapes: Json = orjson.loads(_SHAPES.read_bytes())
    return shapes


def _check_value(value: Any, type_: Any, messages: Json, where: str) -> None:
    if isinstance(type_, dict):
        _check_type(value, (list,), "list", where)
        for one in value:
            _check_value(one, type_["each"], messages, where)
    elif isinstance(type_, list):
        if value not in type_:
            raise invalid(f"Invalid value at '{where}': {value!r}")
    elif type_.endswith("[]"):
        _check_type(value, (list,), "list", where)
        for place, one in enumerate(value):
            _check_value(one, type_.removesuffix("[]"), messages, f"{where}[{place}]")
    elif type_ in _SCALARS:
        _check_type(value, _SCALARS[type_], type_, where)
    else:
        _check_type(value, (dict,), type_, where)
        for name, field in value.items():
            if name not in messages[type_]:
                raise invalid(f"Unknown name '{name}' at '{where or type_}'")
            _check_value(field, messages[type_][name], messages, f"{where}.{name}".lstrip("."))


def _check_type(value: Any, types: tuple[type, ...], name: str, where: str) -> None:
    if not isinstance(value, types):
        raise invalid(f"Invalid value at '{where}': no {name}")

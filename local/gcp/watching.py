"""Cloud Logging's lines and metrics; Cloud Monitoring's dashboards, alerts, channels, series."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import orjson

from local.gcp.call import Answer, Call, Route
from local.gcp.problems import Refused, exists, invalid, not_found
from local.gcp.propagation import Propagation
from local.gcp.shape import check
from local.gcp.state import GoogleState, Json

_METRICS = "logging/v2/projects/{project}/metrics"
_DEFAULT_SINK = "logging/v2/projects/{project}/sinks/_Default"
_LINES_OF = re.compile(r'jsonPayload\.(\w+)="([^"]*)"')
_USER_METRIC = re.compile(r'metric\.type="logging\.googleapis\.com/user/([\w./-]+)"')
# In seconds. Google: MetricAbsence.duration, and "metric-absence alerting policies".
_SHORTEST_ABSENCE: Final = 120.0
_LONGEST_ABSENCE: Final = 84_600.0
# What Google's JSON leaves out: zero, empty, and LabelDescriptor's first type.
_UNSAID: Final[tuple[Any, ...]] = (0, "", [], {}, False, "STRING")


class Watching:
    """All that somebody looks at."""

    def __init__(self, state: GoogleState, propagation: Propagation) -> None:
        """Takes what there is, and how fast what is new is noticed."""
        self._state = state
        self._propagation = propagation
        self._made = 0

    def routes(self) -> tuple[Route, ...]:
        """The operations that gcloud uses."""
        state = self._state
        return (
            Route("POST", "logging/v2/entries:list", self._lines),
            Route("GET", _DEFAULT_SINK, lambda _: self._sink()),
            Route("PATCH", _DEFAULT_SINK, self._update_sink, changes=True),
            Route("POST", _METRICS, self._create_metric, changes=True),
            Route("GET", _METRICS, lambda _: Answer({"metrics": [*state.metrics.values()]})),
            Route("GET", f"{_METRICS}/{{one}}", lambda c: Answer(_known(state.metrics, c))),
            Route("PUT", f"{_METRICS}/{{one}}", self._update_metric, changes=True),
            Route("DELETE", f"{_METRICS}/{{one}}", _deleter(state.metrics), changes=True),
            *self._of("v1", "dashboards", state.dashboards, self._check_dashboard),
            *self._of("v3", "alertPolicies", state.alert_policies, self._check_policy),
            *self._of("v3", "notificationChannels", state.channels, self._check_channel),
            Route("GET", "monitoring/v3/projects/{project}/timeSeries", self._series),
        )

    def _of(
        self, version: str, kind: str, kept: dict[str, Json], check_one: Callable[[Json], None]
    ) -> tuple[Route, ...]:
        """Those of Monitoring, whose names Google gives."""
        template = f"monitoring/{version}/projects/{{project}}/{kind}"

        def create(call: Call) -> Answer:
            body = call.fields()
            check_one(body)
            self._made += 1
            key = str(self._made)
            name = f"projects/{self._state.number}/{kind}/{key}"
            kept[key] = {**_shown(body), "name": name, **_etag(kind, self._made)}
            return Answer(kept[key])

        def update(call: Call) -> Answer:
            old, body = _known(kept, call), call.fields()
            check_one(body)
            if kind == "dashboards" and body.get("etag") != old["etag"]:
                raise Refused(409, "The etag is not the one of the dashboard.")
            self._made += 1
            new = {**old, **_shown(body)} if "updateMask" in call.query else _shown(body)
            kept[call.params["one"]] = new | {"name": old["name"], **_etag(kind, self._made)}
            return Answer(kept[call.params["one"]])

        # Google: "Manage alerting policies by API", one call at a time that modifies any of them.
        lane = kind if kind == "alertPolicies" else ""
        one = f"{template}/{{one}}"
        return (
            Route("POST", template, create, changes=True, lane=lane),
            Route("GET", template, lambda _: Answer({kind: [*kept.values()]} if kept else {})),
            Route("GET", one, lambda call: Answer(_known(kept, call))),
            Route("PATCH", one, update, changes=True, lane=lane),
            Route("DELETE", one, _deleter(kept), changes=True, lane=lane),
        )

    def _lines(self, call: Call) -> Answer:
        """Newest first, the only order that gcloud asks for."""
        text = call.fields()["filter"]
        if (wanted := _LINES_OF.search(text)) is None:
            raise invalid(f"no lines by {text}")
        key, value = wanted.groups()
        found = [
            {"logName": f"projects/{self._state.project}/logs/run", "jsonPayload": line}
            for line in reversed(self._state.log)
            if line.get(key) == value
        ]
        return Answer({"entries": found} if found else {})

    def _sink(self) -> Answer:
        """Google makes this sink with each project (Google: "Route log entries")."""
        bucket = f"projects/{self._state.project}/locations/global/buckets/_Default"
        sink: Json = {"name": "_Default", "destination": f"logging.googleapis.com/{bucket}"}
        if exclusions := [*self._state.exclusions.values()]:
            sink["exclusions"] = exclusions
        return Answer(sink)

    def _update_sink(self, call: Call) -> Answer:
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

    def _create_metric(self, call: Call) -> Answer:
        body = call.fields()
        if body["name"] in self._state.metrics:
            raise exists(body["name"])
        return self._keep_metric(body["name"], body)

    def _update_metric(self, call: Call) -> Answer:
        _known(self._state.metrics, call)
        return self._keep_metric(call.params["one"], call.fields())

    def _keep_metric(self, name: str, body: Json) -> Answer:
        check(body, "log_metric")
        if not body.get("filter"):
            raise invalid("filter: is required")
        if name not in self._state.metrics:
            self._propagation.begin(f"metric {name}")
        self._state.metrics[name] = {**_shown(body), "name": name}
        return Answer(self._state.metrics[name])

    def _check_dashboard(self, body: Json) -> None:
        check(body, "dashboard")
        # Google's takes any name. Ours does not, so that none is misspelt.
        for name in _metrics_of(body):
            if name not in self._state.metrics:
                raise _unknown_metric(name)

    def _check_policy(self, body: Json) -> None:
        check(body, "alert_policy")
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

    def _check_channel(self, body: Json) -> None:
        check(body, "notification_channel")

    def _series(self, call: Call) -> Answer:
        kind = 'metric.type="pubsub.googleapis.com/subscription/num_undelivered_messages"'
        if call.query["filter"] != kind:
            raise invalid(f"no series of {call.query['filter']}")
        found = [
            {
                "resource": {"labels": {"subscription_id": name}},
                "points": [{"value": {"int64Value": str(count)}}],
            }
            for name, count in self._state.backlog.items()
        ]
        return Answer({"timeSeries": found} if found else {})


def _deleter(kept: dict[str, Json]) -> Callable[[Call], Answer]:
    def delete(call: Call) -> Answer:
        _known(kept, call)
        del kept[call.params["one"]]
        return Answer()

    return delete


def _metrics_of(body: Json) -> list[str]:
    """The log-based metrics that a body speaks of."""
    return _USER_METRIC.findall(orjson.dumps(body).decode().replace('\\"', '"'))


def _unknown_metric(name: str) -> Refused:
    """Google: Cloud Monitoring, the text that public deployment logs show; also while it is new."""
    return Refused(
        404,
        f'Cannot find metric(s) that match type = "logging.googleapis.com/user/{name}". If a '
        "metric was created recently, it could take up to 10 minutes to become available. Please "
        "try again soon.",
    )


def _known(kept: dict[str, Json], call: Call) -> Json:
    if call.params["one"] not in kept:
        raise not_found(call.params["one"])
    return kept[call.params["one"]]


def _shown(body: Any) -> Any:
    if isinstance(body, dict):
        return {key: _shown(value) for key, value in body.items() if value not in _UNSAID}
    return [_shown(one) for one in body] if isinstance(body, list) else body


def _etag(kind: str, number: int) -> Json:
    return {"etag": f"{number:032x}"} if kind == "dashboards" else {}

"""The files have the shapes that Google accepts, and refer only to what exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import pytest

from local.functions import PROJECT
from local.gcp.monitoring import check_shape
from pendo_aep.gcp.config import Config
from pendo_aep.gcp.deploy.monitoring import durations
from pendo_aep.outcome import RetryReason
from tests.monitoring.files import (
    ALERTS,
    DASHBOARD,
    FOLDER,
    METRICS,
    Json,
    every,
    extracted,
    matches,
    read,
    terms,
)
from tests.repository.test_documents import anchors

_REQUEST_COUNT = "run.googleapis.com/request_count"
# Google: Cloud Monitoring "Google Cloud metrics", of what the files use: kind, value, and labels.
_GOOGLES: dict[str, tuple[str, str, set[str]]] = {
    "pubsub.googleapis.com/subscription/oldest_unacked_message_age": ("GAUGE", "INT64", set()),
    "pubsub.googleapis.com/subscription/num_undelivered_messages": ("GAUGE", "INT64", set()),
    "pubsub.googleapis.com/subscription/dead_letter_message_count": ("DELTA", "INT64", set()),
    "run.googleapis.com/request_latencies": ("DELTA", "DISTRIBUTION", set()),
    "run.googleapis.com/container/instance_count": ("GAUGE", "INT64", set()),
    "run.googleapis.com/job/completed_execution_count": ("DELTA", "INT64", {"result"}),
    _REQUEST_COUNT: ("DELTA", "INT64", {"response_code", "response_code_class"}),
}
_RESOURCES = {
    "pubsub.googleapis.com": ("pubsub_subscription", "subscription_id"),
    "run.googleapis.com": ("cloud_run_revision", "service_name"),
    "run.googleapis.com/job/completed_execution_count": ("cloud_run_job", "job_name"),
    "logging.googleapis.com": ("cloud_run_revision", "service_name"),
}
_OURS = "logging.googleapis.com/user/"
# As Cloud Run writes them: Google, "Logging and viewing logs in Cloud Run", request logs.
REQUESTS: list[Json] = [
    {
        "logName": "projects/demo/logs/run.googleapis.com%2Frequests",
        "resource": {"type": "cloud_run_revision", "labels": {"service_name": name}},
        "httpRequest": {"requestMethod": "POST", "status": status},
    }
    for name, status in [
        *(("receive", status) for status in (200, 401, 403, 429, 500, 503)),
        ("deliver", 403),
    ]
]
_SHAPES = [
    *((path, "log_metric") for path in METRICS),
    *((path, "alert_policy") for path in ALERTS),
    (DASHBOARD, "dashboard"),
]


_RETURNED = "message returned"


def _reasons_in_code() -> Iterator[str]:
    """Yields the reasons that the code itself gives where it logs that a message goes back."""
    sources = [path.read_text("utf-8") for path in (PROJECT / "pendo_aep").rglob("*.py")]
    for source in (text for text in sources if _RETURNED in text):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and any(
                isinstance(argument, ast.Constant) and argument.value == _RETURNED
                for argument in node.args
            ):
                for keyword in node.keywords:
                    if keyword.arg == "reason" and isinstance(keyword.value, ast.Constant):
                        yield str(keyword.value.value)


# The other reasons are those of an outcome.
RETURNED = sorted({*RetryReason, *_reasons_in_code()})


class Series(NamedTuple):
    """One use of a metric: its filter, and how it is aggregated."""

    filter: str
    aggregation: Json


def series() -> Iterator[Series]:
    """Yields each use in an alert or on the dashboard."""
    for path in ALERTS:
        for kind in ("conditionThreshold", "conditionAbsent"):
            for condition in every(read(path), kind):
                [aggregation] = condition["aggregations"]
                yield Series(condition["filter"], aggregation)
                if "denominatorFilter" in condition:
                    # Google: MetricThreshold, both must be aligned alike.
                    assert condition["denominatorAggregations"] == condition["aggregations"]
                    yield Series(condition["denominatorFilter"], aggregation)
    for one in every(read(DASHBOARD), "timeSeriesFilter"):
        yield Series(one["filter"], one["aggregation"])


def descriptor(metric: str) -> tuple[str, str, set[str]]:
    """Returns the kind, the value type and the labels of a metric."""
    if metric in _GOOGLES:
        return _GOOGLES[metric]
    found = read(FOLDER / "metrics" / f"{metric.removeprefix(_OURS)}.json")["metricDescriptor"]
    labels = {label["key"] for label in found.get("labels", [])}
    return found["metricKind"], found["valueType"], labels


@pytest.mark.parametrize(("path", "shape"), _SHAPES, ids=lambda value: getattr(value, "stem", ""))
def test_google_accepts_it(path: Path, shape: str) -> None:
    """It has no key, type or enum value that the API does not know: gcloud would send it on."""
    check_shape(read(path), shape)


@pytest.mark.parametrize("path", METRICS, ids=lambda path: str(path.stem))
def test_a_metric_describes_what_it_extracts(path: Path) -> None:
    """Each label has an extractor; only a distribution has a value and buckets."""
    metric = read(path)
    described = metric["metricDescriptor"]
    is_distribution = described["valueType"] == "DISTRIBUTION"

    labels = {label["key"] for label in described.get("labels", [])}
    assert labels == set(metric.get("labelExtractors", {}))
    assert ("valueExtractor" in metric, "bucketOptions" in metric) == (is_distribution,) * 2
    assert "name" not in metric


@pytest.mark.parametrize("one", list(series()), ids=lambda one: str(terms(one.filter)[0].values[0]))
def test_every_series_has_a_metric(one: Series) -> None:
    """The metric exists, with that resource and these labels, and may be aggregated like this."""
    asked = {term.path: term.values for term in terms(one.filter)}
    [metric] = asked.pop("metric.type")
    [resource] = asked.pop("resource.type")
    kind, value, labels = descriptor(metric)
    of_resource, name = _RESOURCES.get(metric) or _RESOURCES[metric.partition("/")[0]]
    allowed = {f"resource.labels.{name}", *(f"metric.labels.{label}" for label in labels)}
    grouped = one.aggregation.get("groupByFields", [])

    assert resource == of_resource
    assert set(asked) <= allowed
    assert {field.replace("label.", "labels.") for field in grouped} <= allowed
    # Google: Aligner and Reducer, what each is valid for.
    aligner, reducer = one.aggregation["perSeriesAligner"], one.aggregation["crossSeriesReducer"]
    assert aligner in {"DELTA": ("ALIGN_DELTA", "ALIGN_RATE"), "GAUGE": ("ALIGN_MAX",)}[kind]
    assert ("PERCENTILE" in reducer) == (value == "DISTRIBUTION")


def test_every_metric_is_used() -> None:
    """None is collected that no alert and no tile shows."""
    shown = {term.values[0] for one in series() for term in terms(one.filter)}

    assert {_OURS + path.stem for path in METRICS} <= shown


def test_reasons_exist_in_the_code() -> None:
    """The code logs each reason that an alert filters by."""
    words = {
        node.value
        for source in (PROJECT / "pendo_aep").rglob("*.py")
        for node in ast.walk(ast.parse(source.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    reasons = {
        value
        for one in series()
        for term in terms(one.filter)
        if term.path == "metric.labels.reason"
        for value in term.values
    }

    assert reasons
    assert reasons <= words


@pytest.mark.parametrize("reason", RETURNED)
def test_returned_messages_raise_an_alert_whatever_the_reason(reason: str) -> None:
    """`AEP fails` counts every message that goes back to Pub/Sub."""
    [condition] = every(read(FOLDER / "alerts" / "aep-failing.json"), "conditionThreshold")
    labels = {"type": f"{_OURS}pendo-retried", "labels": {"reason": reason}}
    point = {"metric": labels, "resource": {"type": "cloud_run_revision"}}

    assert matches(condition["filter"], point)


def test_the_runbook_explains_each_reason_and_no_other() -> None:
    """Its table has the reasons of the code."""
    text = (PROJECT / "docs" / "operations.md").read_text("utf-8")
    table = text.partition("| `reason` | what it means |")[2].partition("\n\n")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines()[1:]]

    assert {r for cell in first_cells for r in re.findall(r"`(\w+)`", cell)} == {*RETURNED}


def test_the_page_on_cost_counts_the_conditions() -> None:
    """Google charges for each condition on a metric."""
    counts = {
        path.stem: sum("conditionMatchedLog" not in one for one in read(path)["conditions"])
        for path in ALERTS
    }
    silence, lake = counts.pop("no-webhook"), counts.pop("not-in-the-lake")

    text = (
        f"There are {sum(counts.values())} of them, {silence} more with `ALERT_NO_WEBHOOK_HOURS`, "
        f"and {lake} more with `RECONCILE_SCHEDULE`."
    )
    assert text in (PROJECT / "docs" / "cost.md").read_text("utf-8")


def test_what_does_not_reach_receive_is_counted_from_the_request_log() -> None:
    """Google: request_count "excludes requests that are not reaching your container", 403 and 429.

    So Cloud Run's metric is used for 5xx alone, and the entries of its request log for the rest.
    """
    asked = [
        term.values
        for one in series()
        for term in terms(one.filter)
        if term.path.startswith("metric.labels.response_code")
    ]
    metric = read(FOLDER / "metrics" / "pendo-turned-away.json")
    filter_ = metric["filter"].replace("${RECEIVE_FUNCTION}", "receive")
    [extractor] = metric["labelExtractors"].values()

    assert asked == [("5xx",)]
    counted = [entry for entry in REQUESTS if matches(filter_, entry)]
    assert [extracted(extractor, entry) for entry in counted] == [403, 429, 500]


def test_only_names_of_the_deployment_are_filled_in() -> None:
    """Each `${NAME}` is one of `deploy/config.env` or comes from one, and there is no other `$`."""
    text = (PROJECT / "deploy" / "config.env").read_text("utf-8")
    given = dict(re.findall(r"^(\w+)=(.*)", text, re.MULTILINE))
    names = given | durations(Config(PROJECT, given))
    text = "".join(path.read_text("utf-8") for path, _ in _SHAPES)
    used = re.findall(r"\$\{(\w+)\}", text)

    assert set(used) <= names.keys()
    assert text.count("$") == len(used)


def test_tiles_do_not_overlap() -> None:
    """Each is within the columns."""
    layout = read(DASHBOARD)["mosaicLayout"]
    tiles = layout["tiles"]

    assert all(tile["xPos"] + tile["width"] <= layout["columns"] for tile in tiles)
    for one, other in combinations(tiles, 2):
        assert (
            one["xPos"] + one["width"] <= other["xPos"]
            or other["xPos"] + other["width"] <= one["xPos"]
            or one["yPos"] + one["height"] <= other["yPos"]
            or other["yPos"] + other["height"] <= one["yPos"]
        )


@pytest.mark.parametrize("path", ALERTS, ids=lambda path: str(path.stem))
def test_an_alert_names_its_runbook(path: Path) -> None:
    """Its name has our prefix, and its text names a heading of the runbook."""
    alert = read(path)
    name = alert["displayName"].removeprefix("pendo-to-aep: ")
    content = alert["documentation"]["content"]

    assert name != alert["displayName"]
    assert content.endswith(f"docs/operations.md, `{name}`.")
    assert name.lower().replace(" ", "-") in anchors(PROJECT / "docs" / "operations.md")


@pytest.mark.parametrize("path", ALERTS, ids=lambda path: str(path.stem))
def test_an_alert_on_a_log_line_has_one_condition(path: Path) -> None:
    """Google: "log-based alerting policies", one condition and a limit of notifications."""
    alert = read(path)
    by_line = [*every(alert, "conditionMatchedLog")]

    assert ("notificationRateLimit" in alert["alertStrategy"]) == bool(by_line)
    assert not by_line or len(alert["conditions"]) == 1

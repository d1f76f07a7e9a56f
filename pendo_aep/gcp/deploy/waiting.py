"""How many messages wait in the subscriptions; gcloud has no command that reads a metric."""

from __future__ import annotations

import json
import os
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Final

from pendo_aep.gcp.deploy.gcloud import Gcloud

_MONITORING: Final = "https://monitoring.googleapis.com/"
_WAITING: Final = "pubsub.googleapis.com/subscription/num_undelivered_messages"
_SECONDS: Final = 30.0
# Google: Pub/Sub metrics are sampled each minute, and visible up to some minutes later.
_LATE: Final = timedelta(minutes=10)


def waiting(project: str, gcloud: Gcloud) -> dict[str, int]:
    """The count of each subscription, as Cloud Monitoring saw it last, minutes ago.

    A subscription that is not in it may have messages all the same.

    Raises:
        GcloudFailed: gcloud is not logged in.
        OSError: Cloud Monitoring did not answer, or refused.
    """
    now = datetime.now(UTC)
    asked = {
        "filter": f'metric.type="{_WAITING}"',
        "interval.startTime": (now - _LATE).isoformat(),
        "interval.endTime": now.isoformat(),
    }
    # Where gcloud itself would go.
    base = os.environ.get("CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING", _MONITORING)
    url = f"{base}v3/projects/{project}/timeSeries?{urllib.parse.urlencode(asked)}"
    token = gcloud.text("auth", "print-access-token")
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 (https, or gcloud's own override)
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 (the same)
        series = json.load(answer).get("timeSeries", [])
    return {
        one["resource"]["labels"]["subscription_id"]: int(one["points"][0]["value"]["int64Value"])
        for one in series
        if one.get("points")  # newest first
    }

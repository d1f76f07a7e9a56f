"""The topics: there, and keeping what was published, so that a day can be replayed."""

from __future__ import annotations

from collections.abc import Iterator

from pendo_aep.doctor import commands
from pendo_aep.doctor.deployment import Deployment
from pendo_aep.doctor.finding import Finding, Subject, ok, wrong
from pendo_aep.doctor.look import Look, Looks, Seen, not_seen
from pendo_aep.doctor.values import duration, flag, seconds, within


def check_topics(deployment: Deployment, looks: Looks) -> Iterator[Finding]:
    """Both of them."""
    values = deployment.values
    for name, least in (
        (deployment.events, values.events_kept),
        (deployment.dead_letters, values.letters_kept),
    ):
        yield _check(deployment, name, least, looks[commands.topic(name)])


def _check(deployment: Deployment, name: str, least: float, look: Look) -> Finding:
    if not isinstance(look, Seen):
        return not_seen(Subject.TOPICS, f"topic {name}", look, deployment.deploy)
    kept = seconds(within(look.value, "messageRetentionDuration"))
    if kept < least:
        return wrong(
            Subject.TOPICS,
            f"topic {name} keeps what was published for {duration(kept)} only: "
            "what is older could not be replayed",
            f"gcloud pubsub topics update {name} --message-retention-duration={flag(least)} "
            f"--project={deployment.project}",
        )
    return ok(Subject.TOPICS, f"topic {name} keeps what was published for {duration(kept)}")

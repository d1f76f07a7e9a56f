"""The topics: there, and keeping what was published, for as long and where they should."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, wrong
from pendo_aep.gcp.doctor.look import Look, Looks, Seen, not_seen
from pendo_aep.gcp.doctor.values import duration, flag, seconds, within


def check_topics(deployment: Deployment, looks: Looks) -> Iterator[Finding]:
    """Both of them."""
    values = deployment.values
    for name, least in (
        (deployment.events, values.events_kept),
        (deployment.dead_letters, values.letters_kept),
    ):
        yield from _check(deployment, name, least, looks[commands.topic(name)])


def _check(deployment: Deployment, name: str, least: float, look: Look) -> Iterator[Finding]:
    if not isinstance(look, Seen):
        yield not_seen(Subject.TOPICS, f"topic {name}", look, deployment.deploy)
        return
    yield _retention(deployment, name, least, look)
    if deployment.values.regions:
        yield _regions(deployment, name, look)


def _retention(deployment: Deployment, name: str, least: float, look: Seen) -> Finding:
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


def _regions(deployment: Deployment, name: str, look: Seen) -> Finding:
    # Google: "Configure message storage policies", without one a message is stored where it is
    # published.
    found = within(look.value, "messageStoragePolicy", "allowedPersistenceRegions") or []
    wanted = deployment.values.regions
    if set(found) != set(wanted):
        return wrong(
            Subject.TOPICS,
            f"topic {name} may store messages in {_listed(found) or 'any region'}, "
            f"not as MESSAGE_REGIONS says: {_listed(wanted)}",
            f"gcloud pubsub topics update {name} --message-storage-policy-allowed-regions="
            f"{','.join(wanted)} --project={deployment.project}",
        )
    return ok(Subject.TOPICS, f"topic {name} stores messages in {_listed(found)}")


def _listed(regions: Iterable[str]) -> str:
    return ", ".join(sorted(regions))

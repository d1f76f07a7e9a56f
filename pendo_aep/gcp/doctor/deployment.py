"""What a deployment should be: the names and values that `deploy/config.env` gives its parts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Values:
    """What the configuration says of the parts: the next deployment makes them so.

    Attributes:
        events_kept: how many seconds an event is kept while it waits.
        letters_kept: the same of a dead letter.
        attempts: how often Pub/Sub delivers an event before it makes a dead letter of it.
        least_pause: the first pause between two attempts, in seconds.
        longest_pause: the longest one.
        ingress: from where `deliver` and `drain` can be reached, as gcloud spells it.
        receive_access: how everybody may call `receive`.
        regions: where Pub/Sub may store messages; none for anywhere.
    """

    events_kept: float
    letters_kept: float
    attempts: int
    least_pause: float
    longest_pause: float
    ingress: str
    receive_access: str
    regions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Deployment:
    """The parts by their names; empty are those of `deliver` or of `drain` where it is not used.

    Attributes:
        config: the file that all of it comes from, for the commands that mend.
        project_number: of the project, which Google's own service accounts are named after; empty
            as long as nobody knows it.
    """

    config: str
    values: Values
    project: str
    region: str
    events: str
    dead_letters: str
    kept: str
    receive: str
    receive_account: str
    deliver: str
    deliver_account: str
    push: str
    push_account: str
    drain: str
    drain_account: str
    drain_subscription: str
    drain_job: str
    scheduler_account: str
    project_number: str = ""

    @property
    def to_aep(self) -> list[str]:
        """The functions that carry events to AEP."""
        return [name for name in (self.deliver, self.drain) if name]

    @property
    def emptied(self) -> list[str]:
        """The subscriptions that get every event, and that those functions empty."""
        return [name for name in (self.push, self.drain_subscription) if name]

    @property
    def deploy(self) -> str:
        """What makes whatever is missing, and changes nothing that is right."""
        return f"deploy/deploy.sh {self.config}"

    @property
    def pubsub_agent(self) -> str:
        """The account by which Pub/Sub itself acts.

        Google: Pub/Sub "dead-letter topics", granting forwarding permissions.
        """
        return f"service-{self.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"

    def topic_path(self, name: str) -> str:
        """`projects/P/topics/T`."""
        return f"projects/{self.project}/topics/{name}"

    def address(self, account: str) -> str:
        """The e-mail address of a service account that may be given by its name alone."""
        return account if "@" in account else f"{account}@{self.project}.iam.gserviceaccount.com"

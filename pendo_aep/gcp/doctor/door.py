"""What the doctor must know of `receive` to come to it as Pendo would."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field

from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.advice import Advice, of_deployment
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.finding import Finding, Subject, unknown, wrong
from pendo_aep.gcp.doctor.functions import addresses, receive_settings
from pendo_aep.gcp.doctor.gcloud import Gcloud
from pendo_aep.gcp.doctor.look import Looks, Seen, not_seen
from pendo_aep.gcp.doctor.secrets import read_secret, webhook_secret


@dataclass(frozen=True, slots=True)
class Door:
    """Where it is, and what opens it.

    Attributes:
        secrets: those that Pendo may sign with. Never in a `repr`.
        allows_unsigned: whether its settings say so.
        kept_types: what `PENDO_EVENTS` keeps; empty is all.
        advice: what mends it.
    """

    url: str
    secrets: Sequence[str] = field(repr=False)
    allows_unsigned: bool
    kept_types: Set[str]
    advice: Advice


async def find_door(deployment: Deployment, looks: Looks, gcloud: Gcloud) -> Door | Finding:
    """The door of a deployment, or why nobody could knock at it."""
    look = looks[commands.function(deployment, deployment.receive)]
    described = look.value if isinstance(look, Seen) else None
    found = addresses(described)
    settings = receive_settings(described)
    if not found or settings is None:
        text = "the address of receive, or what it accepts, is not known: nothing was sent to it"
        return unknown(Subject.WEBHOOK, text, deployment.deploy)
    secret = webhook_secret(deployment, looks)
    if secret is None:
        if not settings.pendo_allow_unsigned:
            text = "the secret of receive is not known, so nothing could be signed"
            return unknown(Subject.WEBHOOK, text, deployment.deploy)
        advice = of_deployment(deployment, "")
        return Door(found[0], [], True, settings.pendo_events, advice)
    advice = of_deployment(deployment, secret.secret)
    held = await gcloud.look(commands.secret_value(secret.secret, secret.version))
    if not isinstance(held, Seen):
        what = f"what secret {secret.secret} holds, to sign with"
        return not_seen(Subject.WEBHOOK, what, held, advice.secret)
    secrets = read_secret(held.value)
    if not secrets:
        return wrong(Subject.WEBHOOK, f"secret {secret.secret} holds nothing", advice.secret)
    return Door(found[0], secrets, settings.pendo_allow_unsigned, settings.pendo_events, advice)
